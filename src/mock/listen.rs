//! Ports, and the threads behind them.
//!
//! A runtime of its own serves connections, each a task, so that a page that is made for one holds up no other as long
//! as there is another thread. It ends with the handle: every connection is closed, and nothing runs any more when the
//! drop is over.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::house::Door;
use super::lag::Lag;
use super::server::{Hangup, serve_door};

/// How long a thread may go on with what it is at when it is told to stop.
const STOPPING: Duration = Duration::from_secs(2);

/// TLS before anything else, and whether the end of a connection is told.
pub(super) type TlsFront = (TlsAcceptor, bool);

/// What serves the connections.
#[derive(Clone, Copy, Debug)]
pub(super) enum Threads {
    /// One thread does all.
    Own,
    /// So many threads share them.
    Several(usize),
}

/// Ports that are listened on until this is dropped.
pub(super) struct Listening {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Listens.
pub(super) fn listen(doors: Vec<(TcpListener, Door, Option<TlsFront>)>, threads: Threads) -> io::Result<Listening> {
    let runtime = match threads {
        Threads::Own => Builder::new_current_thread().enable_all().build()?,
        Threads::Several(n) => {
            Builder::new_multi_thread().worker_threads(n.max(1)).thread_name("mock-host").enable_all().build()?
        }
    };
    let lag = {
        let _within = runtime.enter();
        Arc::new(Lag::start_now())
    };
    runtime.spawn({
        let lag = lag.clone();
        async move { lag.watch().await }
    });
    for (listener, door, tls) in doors {
        listener.set_nonblocking(true)?;
        let _within = runtime.enter();
        runtime.spawn(accept(tokio::net::TcpListener::from_std(listener)?, door, tls, lag.clone()));
    }
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new().name("mock-tenant".into()).spawn(move || serve(runtime, stopped))?;
    Ok(Listening { stop: Some(stop), thread: Some(thread) })
}

fn serve(runtime: Runtime, stopped: oneshot::Receiver<()>) {
    // It comes to an end by the handle's drop, which sends nothing.
    let _ = runtime.block_on(stopped);
    runtime.shutdown_timeout(STOPPING);
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there has been reported by its own hook.
            thread.join().ok();
        }
    }
}

async fn accept(listener: tokio::net::TcpListener, door: Door, tls: Option<TlsFront>, lag: Arc<Lag>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others may give some back.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        stream.set_nodelay(true).ok();
        tokio::spawn(serve_stream(stream, door.clone(), tls.clone(), lag.clone()));
    }
}

async fn serve_stream(mut stream: TcpStream, door: Door, tls: Option<TlsFront>, lag: Arc<Lag>) {
    let Some((acceptor, goodbye)) = tls else {
        if serve_door(&mut stream, &door, Some(&lag), true).await == Hangup::Reset {
            stream.set_zero_linger().ok();
        }
        return;
    };
    // Who does not trust the certificate goes away, and has asked nothing.
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    if serve_door(&mut stream, &door, Some(&lag), goodbye).await == Hangup::Reset {
        stream.get_ref().0.set_zero_linger().ok();
    }
}
