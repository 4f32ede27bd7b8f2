//! Unpacks gzip bodies piece by piece, under a cap on the ratio.
//!
//! Several members in a row are one body, zeros behind the last are padding, anything else is damage; checksums and
//! lengths are verified by the zlib implementation. A little input can become a thousand times as much output, so it is
//! asked for one piece of bounded size at a time and never runs ahead of its reader.

use bytes::{Buf as _, Bytes};
use flate2::{Decompress, FlushDecompress, Status};

use super::body::MAX_PIECE;
use crate::model::TransportFault;

/// Output per input byte above which a body is taken for a bomb.
const MAX_RATIO: u64 = 1000;
/// Output up to which no ratio is too high: a small page of one repeated value is no attack.
const RATIO_FREE: u64 = 1024 * 1024;
/// The window of any gzip stream.
const WINDOW_BITS: u8 = 15;
/// The first byte of a gzip member.
const MAGIC: u8 = 0x1f;

/// One gzip body.
pub(super) struct Inflate {
    place: Place,
    input: Bytes,
    total_in: u64,
    total_out: u64,
}

enum Place {
    Start,
    Member {
        stream: Box<Decompress>,
        /// The last piece was full: the stream may hold more output without more input.
        full: bool,
    },
    BetweenMembers,
    Padding,
}

impl Inflate {
    pub(super) fn new() -> Self {
        Self { place: Place::Start, input: Bytes::new(), total_in: 0, total_out: 0 }
    }

    /// Takes the next packed bytes, once [`next`](Self::next) has given all there was.
    pub(super) fn feed(&mut self, packed: Bytes) {
        debug_assert!(self.input.is_empty(), "input that was not unpacked would be lost");
        self.input = packed;
    }

    /// The next unpacked bytes; `None` when more input is needed.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, TransportFault> {
        let mut out = Vec::new();
        loop {
            match &mut self.place {
                Place::Start | Place::BetweenMembers => match self.input.first() {
                    None => break,
                    Some(&MAGIC) => {
                        let stream = Box::new(Decompress::new_gzip(WINDOW_BITS));
                        self.place = Place::Member { stream, full: false };
                    }
                    Some(0) if matches!(self.place, Place::BetweenMembers) => self.place = Place::Padding,
                    Some(_) if matches!(self.place, Place::Start) => {
                        return Err(damaged("it does not begin like gzip"));
                    }
                    Some(_) => return Err(damaged("something else follows its end")),
                },
                Place::Padding => {
                    if self.input.iter().any(|b| *b != 0) {
                        return Err(damaged("something else follows its end"));
                    }
                    self.input.clear();
                    break;
                }
                Place::Member { stream, full } => {
                    if self.input.is_empty() && !*full {
                        break;
                    }
                    out.reserve_exact(MAX_PIECE - out.len());
                    let (in_before, out_before) = (stream.total_in(), stream.total_out());
                    let status = stream
                        .decompress_vec(&self.input, &mut out, FlushDecompress::None)
                        .map_err(|error| damaged(&error.to_string()))?;
                    let n_in = stream.total_in() - in_before;
                    let n_out = stream.total_out() - out_before;
                    self.input.advance(n_in as usize);
                    self.total_in += n_in;
                    self.total_out += n_out;
                    *full = out.len() >= MAX_PIECE;
                    match status {
                        Status::StreamEnd => self.place = Place::BetweenMembers,
                        _ if n_in == 0 && n_out == 0 && !self.input.is_empty() => {
                            return Err(damaged("it can't be unpacked any further"));
                        }
                        _ => {}
                    }
                    if self.total_out > RATIO_FREE && self.total_out > self.total_in.saturating_mul(MAX_RATIO) {
                        return Err(TransportFault::OverLimit {
                            what: "the ratio of the gzip body",
                            limit: format!("{MAX_RATIO}:1"),
                        });
                    }
                    if out.len() >= MAX_PIECE {
                        break;
                    }
                }
            }
        }
        Ok(if out.is_empty() { None } else { Some(Bytes::from(out)) })
    }

    /// The body has ended; was it whole?
    pub(super) fn finish(&self) -> Result<(), TransportFault> {
        match self.place {
            Place::BetweenMembers | Place::Padding => Ok(()),
            Place::Start => Err(damaged("it is empty, without even a header")),
            Place::Member { .. } => Err(damaged("it ends early")),
        }
    }
}

fn damaged(why: &str) -> TransportFault {
    TransportFault::Inflate(why.to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Unpacks it, fed in pieces of that size.
    fn unpacked(body: &[u8], step: usize) -> Result<Vec<u8>, TransportFault> {
        let mut inflate = Inflate::new();
        let mut out = Vec::new();
        for piece in body.chunks(step) {
            inflate.feed(Bytes::copy_from_slice(piece));
            while let Some(bytes) = inflate.next()? {
                assert!(bytes.len() <= MAX_PIECE);
                out.extend_from_slice(&bytes);
            }
        }
        inflate.finish()?;
        Ok(out)
    }

    fn sample(n: usize) -> Vec<u8> {
        (0..n).flat_map(|i| format!("{i},value {}\n", i * 7919 % 1013).into_bytes()).collect()
    }

    #[test]
    fn a_body_unpacks_the_same_however_it_is_cut_into_pieces() {
        let text = sample(20_000);
        let body = packed(&text);
        for step in [1, 7, 1000, body.len()] {
            assert_eq!(unpacked(&body, step).unwrap(), text, "step {step}");
        }
    }

    #[test]
    fn several_members_and_zero_padding_are_one_body() {
        let body = [packed(b"one\n"), packed(b""), packed(b"two\n"), vec![0; 40]].concat();
        for step in 1..body.len() {
            assert_eq!(unpacked(&body, step).unwrap(), b"one\ntwo\n", "step {step}");
        }
    }

    #[test]
    fn a_body_cut_at_any_byte_is_damaged() {
        let body = packed(b"a,b\n1,2\n3,4\n");
        for n in 0..body.len() {
            assert!(matches!(unpacked(&body[..n], 5), Err(TransportFault::Inflate(_))), "cut at {n}");
        }
        assert!(unpacked(&body, 5).is_ok());
    }

    #[test]
    fn a_flipped_bit_in_data_or_trailer_is_damage() {
        let text = sample(500);
        let body = packed(&text);
        // The ten header bytes hold a time and flags that nothing checks.
        for at in (10..body.len()).step_by(37).chain(body.len() - 8..body.len()) {
            let mut bad = body.clone();
            bad[at] ^= 0x10;
            assert!(matches!(unpacked(&bad, 4096), Err(TransportFault::Inflate(_))), "byte {at}");
        }
    }

    #[test]
    fn anything_but_zeros_behind_the_end_is_damage() {
        let body = packed(b"x");
        for tail in [&b"\n"[..], b"\0\0x", b"\x1f", b"\x1f\x8b", b"\x1fx"] {
            let body = [body.as_slice(), tail].concat();
            assert!(matches!(unpacked(&body, 1), Err(TransportFault::Inflate(_))), "{tail:?}");
        }
        assert!(matches!(unpacked(b"plain text", 3), Err(TransportFault::Inflate(_))));
    }

    #[test]
    fn a_bomb_is_refused_by_its_ratio_and_a_small_dense_page_is_not() {
        let bomb = packed(&vec![b'a'; 16 << 20]);
        assert!(bomb.len() < 17_000);
        let refusal = unpacked(&bomb, 512).unwrap_err();
        assert!(matches!(&refusal, TransportFault::OverLimit { limit, .. } if limit == "1000:1"), "{refusal}");
        let dense = vec![b'a'; 1 << 20];
        assert_eq!(unpacked(&packed(&dense), 512).unwrap().len(), dense.len());
    }
}
