//! The right file for what was submitted, so that any client's output can be compared with it.
//!
//! It is written by a thread that may block, into a channel of a few pieces: as fast as the client reads, and no faster.

use std::io::{self, Write};

use tokio::io::AsyncWrite;
use tokio::sync::mpsc;

use crate::mock::data::PIECE_BYTES;
use crate::mock::expected::Expected;
use crate::mock::house::Resident;

use super::answer::{Answer, Pieces};

/// Pieces that are made ahead.
const AHEAD: usize = 4;

/// The file that a request asks for.
pub(super) fn asked(resident: &Resident, parameters: &str) -> Result<Expected, Answer> {
    let template = form_urlencoded::parse(parameters.as_bytes()).find(|(name, _)| name == "template");
    let Some((_, template)) = template else {
        return Err(Answer::refusal(400, "name the template: /__mock/expected?template=NAME"));
    };
    let tenant = resident.tenant.lock();
    if tenant.queries().iter().any(|query| query.template == template) {
        return Ok(tenant.expected(&template));
    }
    let mut known: Vec<&str> = tenant.queries().iter().map(|query| query.template.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(Answer::refusal(404, &format!("no query for that template was submitted; submitted so far: {known}")))
}

/// Sends it.
pub(super) async fn send<S: AsyncWrite + Unpin>(stream: &mut S, file: Expected, last: bool) -> io::Result<()> {
    let (to, mut from) = mpsc::channel(AHEAD);
    let making = tokio::task::spawn_blocking(move || {
        let mut writer = io::BufWriter::with_capacity(PIECE_BYTES, Channel(to));
        file.write(&mut writer)?;
        writer.flush()
    });
    let mut pieces = Pieces::begin(stream, "text/csv; charset=utf-8", last).await?;
    while let Some(piece) = from.recv().await {
        pieces.piece(&piece).await?;
    }
    // Where it could not be made, the client is not to believe that it is whole.
    making.await??;
    pieces.end().await
}

struct Channel(mpsc::Sender<Vec<u8>>);

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.blocking_send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
