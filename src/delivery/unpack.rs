//! A compressed file read as what was compressed.
//!
//! Which coding it is, its first bytes tell. A stream that was cut short, damaged or followed by something else is an
//! error in plain words, never an early end; only a cut where one frame ends and the next would begin can't be seen.
//! Memory is bounded: a zstd frame that wants a window of more than 128 MiB is refused.

use std::io::{self, BufReader, Cursor, ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The bytes behind the first one of a frame that decoders skip; the first one is between 0x50 and 0x5f.
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];
/// A frame's window may be 2 to the power of this, 128 MiB: as much as the `zstd` program itself takes unasked.
const MOST_WINDOW_LOG: u32 = 27;
const READ_BYTES: usize = 128 * 1024;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// It isn't.
    None,
    /// Gzip, of one member or more.
    Gzip,
    /// Zstandard, of one frame or more.
    Zstd,
}

impl Coding {
    fn of(head: &[u8]) -> Self {
        if head.starts_with(&GZIP_MAGIC) {
            Self::Gzip
        } else if head.starts_with(&ZSTD_MAGIC) || matches!(head, [0x50..=0x5f, tail @ ..] if *tail == ZSTD_SKIPPABLE) {
            Self::Zstd
        } else {
            Self::None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Reads what `reader` holds, unpacked if its first bytes say that it is packed.
///
/// # Errors
/// If the first bytes can't be read. Later, reading fails with [`ErrorKind::UnexpectedEof`] where packed data were cut
/// short, with [`ErrorKind::InvalidData`] where they are damaged, and with the reader's own errors.
pub fn unpacked(mut reader: impl Read + Send + 'static) -> io::Result<(Coding, Box<dyn Read + Send>)> {
    let mut head = Vec::with_capacity(ZSTD_MAGIC.len());
    reader.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut head)?;
    let coding = Coding::of(&head);
    let whole = Cursor::new(head).chain(reader);
    if coding == Coding::None {
        return Ok((coding, Box::new(whole)));
    }
    let source = BufReader::with_capacity(READ_BYTES, Source(whole));
    let unpacked: Box<dyn Read + Send> = match coding {
        Coding::None | Coding::Gzip => Box::new(MultiGzDecoder::new(source)),
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(source)?;
            decoder.window_log_max(MOST_WINDOW_LOG)?;
            Box::new(decoder)
        }
    };
    Ok((coding, Box::new(Unpacked { coding, unpacked, failed: None })))
}

/// Marks the reader's own errors, so that they are not taken for a decoder's.
struct Source<R>(R);

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| io::Error::new(error.kind(), FromSource(error)))
    }
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct FromSource(io::Error);

/// Says in plain words what is wrong with packed data, and says so again if asked for more.
struct Unpacked {
    coding: Coding,
    unpacked: Box<dyn Read + Send>,
    failed: Option<(ErrorKind, String)>,
}

impl Unpacked {
    fn in_plain_words(&mut self, error: io::Error) -> io::Error {
        let error = match error.downcast::<FromSource>() {
            Ok(FromSource(error)) => return error,
            Err(error) => error,
        };
        let name = self.coding.name();
        let (kind, words) = match error.kind() {
            ErrorKind::UnexpectedEof => {
                (ErrorKind::UnexpectedEof, format!("the {name} data end too early: the file was cut short"))
            }
            _ => (
                ErrorKind::InvalidData,
                format!("the {name} data are damaged, or something else follows them: {error}"),
            ),
        };
        self.failed = Some((kind, words.clone()));
        io::Error::new(kind, words)
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some((kind, words)) = &self.failed {
            return Err(io::Error::new(*kind, words.clone()));
        }
        self.unpacked.read(buffer).map_err(|error| self.in_plain_words(error))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn skippable() -> Vec<u8> {
        [&[0x5a][..], &ZSTD_SKIPPABLE, &3u32.to_le_bytes(), b"abc"].concat()
    }

    /// Hands out a few bytes at a time.
    struct Dripping(Cursor<Vec<u8>>);

    impl Read for Dripping {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = buffer.len().min(3);
            self.0.read(&mut buffer[..n])
        }
    }

    fn read(bytes: Vec<u8>) -> io::Result<(Coding, Vec<u8>)> {
        let (coding, mut reader) = unpacked(Dripping(Cursor::new(bytes)))?;
        let mut out = Vec::new();
        reader.read_to_end(&mut out)?;
        Ok((coding, out))
    }

    const TEXT: &[u8] = b"id,name\n1,a\n2,b\n";

    #[test]
    fn what_is_not_packed_is_read_as_it_is() {
        for text in [&b""[..], b"i", b"id\n", b"\x1f", b"\x28\xb5\x2f", b"Pid,name\n", TEXT] {
            assert_eq!(read(text.to_vec()).unwrap(), (Coding::None, text.to_vec()));
        }
    }

    #[test]
    fn every_member_and_every_frame_is_read() {
        let twice = [TEXT, TEXT].concat();
        assert_eq!(read([gzip(TEXT), gzip(b""), gzip(TEXT)].concat()).unwrap(), (Coding::Gzip, twice.clone()));
        assert_eq!(read([zstd(TEXT), zstd(b""), zstd(TEXT)].concat()).unwrap(), (Coding::Zstd, twice.clone()));
        let skipping = [skippable(), zstd(TEXT), skippable(), zstd(TEXT), skippable()].concat();
        assert_eq!(read(skipping).unwrap(), (Coding::Zstd, twice));
        assert_eq!(read(gzip(b"")).unwrap(), (Coding::Gzip, Vec::new()));
        assert_eq!(read(zstd(b"")).unwrap(), (Coding::Zstd, Vec::new()));
    }

    #[test]
    fn a_cut_anywhere_within_a_frame_is_an_error_that_says_so() {
        for (name, pack, magic) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>, 2), ("zstd", zstd, 4)] {
            let first = pack(TEXT);
            let both = [&first[..], &pack(TEXT)].concat();
            for len in (magic..both.len()).filter(|&len| len != first.len()) {
                let error = read(both[..len].to_vec()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{name} cut to {len}: {error}");
                assert_eq!(error.to_string(), format!("the {name} data end too early: the file was cut short"));
            }
        }
    }

    #[test]
    fn damage_is_an_error_or_harmless_and_never_another_text() {
        let text = TEXT.repeat(50);
        for (name, pack) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd)] {
            let whole = pack(&text);
            let mut n_told = 0;
            for (at, bit) in (4..whole.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
                let mut damaged = whole.clone();
                damaged[at] ^= 1 << bit;
                match read(damaged) {
                    Ok((_, out)) => assert!(out == text, "{name} at {at}, bit {bit}"),
                    Err(error) => {
                        let is_told = matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof);
                        assert!(is_told && error.to_string().contains(name), "{name} at {at}, bit {bit}: {error}");
                        n_told += 1;
                    }
                }
            }
            // The last four bytes of either are of a checksum, and each bit of them counts.
            assert!(n_told >= 32, "{name}: {n_told}");
        }
    }

    #[test]
    fn something_else_behind_packed_data_is_an_error() {
        for packed in [gzip(TEXT), zstd(TEXT)] {
            for tail in [&b"\0"[..], b"id", b"\0\0\0\0\0\0\0\0\0\0\0\0", TEXT] {
                let error = read([&packed[..], tail].concat()).unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof), "{error}");
            }
        }
    }

    #[test]
    fn a_zstd_frame_with_too_large_a_window_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(MOST_WINDOW_LOG + 1).unwrap();
        encoder.write_all(TEXT).unwrap();
        let error = read(encoder.finish().unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    }

    #[test]
    fn an_error_is_told_again_and_never_becomes_an_end() {
        let mut packed = gzip(TEXT);
        *packed.last_mut().unwrap() ^= 1;
        let (_, mut reader) = unpacked(Cursor::new(packed)).unwrap();
        let first = io::copy(&mut reader, &mut io::sink()).unwrap_err();
        assert_eq!(reader.read(&mut [0; 8]).unwrap_err().to_string(), first.to_string());
    }

    /// Fails behind what it holds.
    struct Failing(Cursor<Vec<u8>>);

    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::Error::from_raw_os_error(5)),
                n => Ok(n),
            }
        }
    }

    #[test]
    fn the_reader_s_own_errors_pass_as_they_are() {
        for packed in [gzip(TEXT), zstd(TEXT), TEXT.to_vec()] {
            let (_, mut reader) = unpacked(Failing(Cursor::new(packed[..9].to_vec()))).unwrap();
            let error = io::copy(&mut reader, &mut io::sink()).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(5));
        }
    }
}
