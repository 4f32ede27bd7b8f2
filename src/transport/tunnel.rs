//! Asks an HTTP proxy for a tunnel (CONNECT).
//!
//! The proxy sees the tenant's host and port and nothing else; TLS and HTTP run inside the tunnel. What the proxy
//! says beyond its status code is not repeated: it may hold anything, the proxy's password too.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::dial::ByteStream;
use super::request::HeaderText;
use crate::model::TransportFault;

/// The most bytes of a proxy's answer.
const MAX_ANSWER: usize = 16 * 1024;

/// Opens a tunnel to `target` (`host:port`) over a fresh connection to the proxy of that address.
pub(super) async fn open(
    io: &mut Box<dyn ByteStream>,
    proxy: &str,
    authorization: Option<&HeaderText>,
    target: &str,
) -> Result<(), TransportFault> {
    let refused = |reason: String| TransportFault::Proxy { proxy: proxy.to_owned(), host: target.to_owned(), reason };
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(value) = authorization {
        request.push_str("Proxy-Authorization: ");
        request.push_str(value.expose());
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let answer = match ask(io, request.as_bytes()).await {
        Ok(answer) => answer,
        Err(error) => return Err(refused(error.to_string())),
    };
    let line = answer.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    let status = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "));
    match status {
        Some([b'2', a, b, rest @ ..])
            if a.is_ascii_digit() && b.is_ascii_digit() && matches!(rest.first(), None | Some(b' ')) =>
        {
            Ok(())
        }
        Some([a, b, c, rest @ ..])
            if [a, b, c].into_iter().all(u8::is_ascii_digit) && matches!(rest.first(), None | Some(b' ')) =>
        {
            let code: String = [a, b, c].into_iter().map(|digit| char::from(*digit)).collect();
            Err(refused(format!("it answered with status {code}")))
        }
        _ => Err(refused("it did not answer in HTTP/1".to_owned())),
    }
}

async fn ask(io: &mut Box<dyn ByteStream>, request: &[u8]) -> io::Result<Vec<u8>> {
    io.write_all(request).await?;
    io.flush().await?;
    let mut answer = Vec::new();
    loop {
        // One byte at a time: a byte too many would belong to the tunnel and be lost. It happens once a connection.
        match io.read_u8().await {
            Ok(byte) => answer.push(byte),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(io::Error::new(e.kind(), "it closed the connection without an answer"));
            }
            Err(e) => return Err(e),
        }
        if answer.ends_with(b"\r\n\r\n") || answer.ends_with(b"\n\n") {
            return Ok(answer);
        }
        if answer.len() > MAX_ANSWER {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its answer is larger than 16 KiB"));
        }
    }
}
