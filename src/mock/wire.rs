//! Faults of the wire: a stream around a stream, below whatever speaks over it.
//!
//! It counts the bytes written since it was armed, and at the one named it closes, resets, falls silent or begins to
//! drip; or it stops reading. It takes bytes for bytes: the one named may lie in a head, in the size of a chunk or in a
//! body, and nothing here knows which.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::server::Hangup;

/// How long a reset waits for what was sent before to be read; a reset may overtake bytes on their way.
pub(super) const RESET_AFTER: Duration = Duration::from_millis(20);

/// What happens to one answer's bytes on the wire, head and framing included. A position behind its end is never met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFault {
    /// The connection is closed before that byte.
    CutAt(u64),
    /// The connection is reset before that byte.
    ResetAt(u64),
    /// Nothing comes for so long before that byte.
    StallAt(u64, Duration),
    /// From that byte on it comes in pieces, so far apart.
    Drip {
        /// The first byte that is late.
        from: u64,
        /// How many come at once.
        bytes: u64,
        /// The time between two pieces.
        every: Duration,
    },
    /// Behind the head of the request nothing is read for so long, so that the client's bytes pile up. The call is
    /// answered after that.
    StopReading(Duration),
}

/// A stream that can be armed.
pub(super) struct Wire<S> {
    stream: S,
    armed: Option<WireFault>,
    /// Since it was armed.
    written: u64,
    /// Whether the reset that is due has waited for the bytes before it.
    settled: bool,
    write_pause: Option<Pin<Box<Sleep>>>,
    read_pause: Option<Pin<Box<Sleep>>>,
    fallen: Option<Hangup>,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, armed: None, written: 0, settled: false, write_pause: None, read_pause: None, fallen: None }
    }

    /// Counts from here.
    pub(super) fn arm(&mut self, fault: WireFault) {
        if let WireFault::StopReading(time) = fault {
            return self.stop_reading(time);
        }
        (self.armed, self.written, self.settled) = (Some(fault), 0, false);
    }

    /// Counts no more. Answers how the connection fell and after how many bytes, if it did.
    pub(super) fn disarm(&mut self) -> Option<(Hangup, u64)> {
        (self.armed, self.write_pause) = (None, None);
        self.fallen.map(|hangup| (hangup, self.written))
    }

    /// Reads nothing for so long.
    pub(super) fn stop_reading(&mut self, time: Duration) {
        self.read_pause = Some(Box::pin(sleep(time)));
    }

    /// Comes back when it reads again.
    pub(super) async fn reads_again(&mut self) {
        poll_fn(|cx| over(&mut self.read_pause, cx)).await;
    }

    /// How many bytes may go out now, where there is no pause; none if the connection falls here.
    fn room(&mut self) -> Option<u64> {
        match self.armed {
            None | Some(WireFault::StopReading(_)) => Some(u64::MAX),
            Some(WireFault::CutAt(at) | WireFault::ResetAt(at) | WireFault::StallAt(at, _)) if self.written < at => {
                Some(at - self.written)
            }
            Some(WireFault::Drip { from, .. }) if self.written < from => Some(from - self.written),
            Some(WireFault::Drip { bytes, .. }) => Some(bytes.max(1)),
            Some(WireFault::CutAt(_)) => {
                self.fallen = Some(Hangup::Closed);
                None
            }
            Some(WireFault::ResetAt(_)) if self.settled => {
                self.fallen = Some(Hangup::Reset);
                None
            }
            Some(WireFault::ResetAt(_)) => {
                self.settled = true;
                self.write_pause = Some(Box::pin(sleep(RESET_AFTER)));
                Some(0)
            }
            Some(WireFault::StallAt(_, time)) => {
                self.armed = None;
                self.write_pause = Some(Box::pin(sleep(time)));
                Some(0)
            }
        }
    }
}

fn over(pause: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> Poll<()> {
    if let Some(running) = pause {
        ready!(running.as_mut().poll(cx));
        *pause = None;
    }
    Poll::Ready(())
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let room = loop {
            ready!(over(&mut wire.write_pause, cx));
            match if wire.fallen.is_some() { None } else { wire.room() } {
                Some(0) => {}
                Some(room) => break usize::try_from(room).unwrap_or(usize::MAX),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        };
        let n = ready!(Pin::new(&mut wire.stream).poll_write(cx, &bytes[..bytes.len().min(room)]))?;
        wire.written += n as u64;
        if let Some(WireFault::Drip { from, every, .. }) = wire.armed
            && wire.written > from
        {
            wire.write_pause = Some(Box::pin(sleep(every)));
        }
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        ready!(over(&mut wire.read_pause, cx));
        Pin::new(&mut wire.stream).poll_read(cx, into)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::{Instant, advance};

    use super::*;

    /// Writes three times ten bytes under a fault. What came out at which second, how the writing ended, how the wire
    /// fell.
    async fn written(fault: WireFault) -> (Vec<(u64, usize)>, bool, Option<(Hangup, u64)>) {
        let (mut far, near) = duplex(1024);
        let mut wire = Wire::new(near);
        wire.arm(fault);
        let start = Instant::now();
        let writing = async move {
            let mut good = true;
            for _ in 0..3 {
                good &= wire.write_all(b"0123456789").await.is_ok();
            }
            (good, wire.disarm())
        };
        let reading = async {
            let mut came = Vec::new();
            let mut piece = [0; 64];
            while let Ok(n @ 1..) = far.read(&mut piece).await {
                came.push((start.elapsed().as_secs(), n));
            }
            came
        };
        let ((good, fallen), came) = tokio::join!(writing, reading);
        (came, good, fallen)
    }

    fn total(came: &[(u64, usize)]) -> usize {
        came.iter().map(|(_, n)| n).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_comes_before_the_byte_named_and_nothing_after_it() {
        for at in [0, 1, 9, 10, 25, 29] {
            let (came, good, fallen) = written(WireFault::CutAt(at)).await;
            assert_eq!((total(&came) as u64, good, fallen), (at, false, Some((Hangup::Closed, at))));
        }
        let (came, good, fallen) = written(WireFault::CutAt(30)).await;
        assert_eq!((total(&came), good, fallen), (30, true, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_waits_for_the_bytes_before_it_to_be_read() {
        let start = Instant::now();
        let (came, good, fallen) = written(WireFault::ResetAt(12)).await;
        assert_eq!((total(&came), good, fallen), (12, false, Some((Hangup::Reset, 12))));
        assert!(start.elapsed() >= RESET_AFTER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_is_over_after_its_time() {
        let (came, good, fallen) = written(WireFault::StallAt(12, Duration::from_secs(5))).await;
        assert_eq!((good, fallen, total(&came)), (true, None, 30));
        assert_eq!(came.iter().filter(|(second, _)| *second < 5).map(|(_, n)| n).sum::<usize>(), 12);
    }

    #[tokio::test(start_paused = true)]
    async fn drops_fall_one_after_the_other() {
        let drip = WireFault::Drip { from: 22, bytes: 3, every: Duration::from_secs(1) };
        let (came, good, _) = written(drip).await;
        assert!(good);
        assert_eq!(total(&came), 30);
        assert_eq!(came[came.len() - 2..], [(1, 3), (2, 2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_leaves_the_writer_with_a_full_window() {
        let (mut far, near) = duplex(8);
        let mut wire = Wire::new(near);
        wire.arm(WireFault::StopReading(Duration::from_secs(5)));
        let start = Instant::now();
        let sender = tokio::spawn(async move {
            far.write_all(b"0123456789").await.unwrap();
            start.elapsed()
        });
        advance(Duration::from_secs(1)).await;
        let mut all = [0; 10];
        wire.read_exact(&mut all).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(5) && sender.await.unwrap() >= Duration::from_secs(5));
        wire.stop_reading(Duration::from_secs(7));
        wire.reads_again().await;
        assert!(start.elapsed() >= Duration::from_secs(12));
    }
}
