//! One page, from permit to checked bytes.
//!
//! The body is scanned as it streams in and gathered into blocks. It counts only when it is whole and its framing is
//! closed; a page that breaks off is thrown away and asked for again, so that nothing partial ever reaches the output.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::actors::{Block, Call, CallKind, ExtractionContext, Missed, OpenPart, PageBody, Refused, Room, Slot, Tries};
use crate::config::{Ragged, Repair};
use crate::csv::{Framed, Framer, FramingFault, FramingLimits};
use crate::model::{Failure, FailureClass, LinkHint, Outcome, PageNumber, TransportFault};
use crate::tenant::{PageAnswer, PageStream, TenantClient};

/// How long a page holds its reading up when all room is taken because the output is slow. Then it goes to scratch.
const WRITER_PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether the output is still the slow one.
const BACKLOG_LOOK: Duration = Duration::from_millis(20);

/// How often it is looked whether a head is there.
const HEAD_LOOK: Duration = Duration::from_millis(5);

/// The first allocation of a page: most small reports never need more.
const FIRST_FILL: usize = 64 << 10;

/// A page that is whole and checked.
#[derive(Debug)]
pub struct FetchedPage {
    /// Which one.
    pub number: PageNumber,
    /// What the scan found.
    pub framed: Framed,
    /// Its bytes.
    pub body: PageBody,
    /// What `Link` said.
    pub link: LinkHint,
    /// What `X-Total-Count` said.
    pub total_count: Option<u64>,
    /// Its room in memory; goes when the page is written, or found to have no rows.
    pub slot: Option<Slot>,
}

/// Why a body did not become a page.
enum Broken {
    /// It broke off or came wrong.
    Fault(TransportFault),
    /// The tenant's data breaks the contract.
    Data(Failure),
    /// There is room for it nowhere.
    NoRoom,
    /// A scratch file could not be written or read back.
    Scratch(Failure),
}

/// Whether a call is out and the head of its answer is not there yet. Clones tell of the same call.
#[derive(Clone, Debug, Default)]
pub struct HeadDue(Rc<Cell<bool>>);

impl HeadDue {
    /// Whether somebody else still has one of it.
    pub fn is_shared(&self) -> bool {
        Rc::strong_count(&self.0) > 1
    }

    /// Returns when no call is out that has no head yet.
    pub async fn is_here(&self) {
        while self.0.get() && self.is_shared() {
            tokio::time::sleep(HEAD_LOOK).await;
        }
    }

    /// Does that call: the head is due until it ends.
    pub async fn of<T>(&self, call: impl Future<Output = T>) -> T {
        self.0.set(true);
        let answer = call.await;
        self.0.set(false);
        answer
    }

    /// Goes on with work that nobody wants any more, but only until that head is there. The tenant has the call and may
    /// answer it with a pause. That holds for everybody, and a tenant that has told it holds us to it, whether we have
    /// listened or not.
    pub async fn heard<T>(&self, mut work: Pin<Box<impl Future<Output = T>>>) {
        std::future::poll_fn(|cx| match self.0.get() && work.as_mut().poll(cx).is_pending() {
            true if self.0.get() => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
    }
}

/// Fetches a page with as many tries as the tenant's configuration grants.
pub async fn fetch_page(
    context: Arc<ExtractionContext>,
    part: Arc<OpenPart>,
    client: TenantClient,
    number: PageNumber,
    slot: Slot,
    head_due: HeadDue,
) -> Result<FetchedPage, Missed> {
    let mut tries = Tries::new(&context, CallKind::Page);
    loop {
        // Past a claimed end a call would only cost the tenant; one that is under way is let end.
        let permit = tokio::select! {
            biased;
            () = part.beyond_use(number) => return Err(Missed::NotWanted),
            permit = tries.permit(&client) => permit?,
        };
        fail::fail_point!(&context.place("page"));
        let token = permit.token().cloned().ok_or_else(|| no_token(number))?;
        let call = Call { token: &token, watch: &permit };
        let answer = head_due.of(client.page(call, &part.query, number, context.report.page_size)).await;
        let fault = match answer {
            Ok(PageAnswer::Missing { total_count }) => {
                permit.end(Outcome::Ok, None);
                return Err(Missed::NotFound { total_count });
            }
            Ok(PageAnswer::Page(stream)) => {
                context.tenant.reached.store(true, Ordering::Relaxed);
                let PageStream { body, link, total_count } = *stream;
                match receive(&context, number, body).await {
                    Ok((framed, body)) => {
                        permit.end_with_page(body.n_bytes(), framed.n_records);
                        return Ok(FetchedPage { number, framed, body, link, total_count, slot: Some(slot) });
                    }
                    Err(Broken::Fault(fault)) => client.body_fault(number, &fault),
                    Err(Broken::Data(failure) | Broken::Scratch(failure)) => {
                        permit.end(Outcome::Local, None);
                        return Err(Missed::Failed(failure));
                    }
                    Err(Broken::NoRoom) => {
                        permit.end(Outcome::Local, None);
                        return Err(Missed::NoRoom);
                    }
                }
            }
            Err(fault) => fault,
        };
        tries.failed(permit, fault).await?;
    }
}

fn no_token(number: PageNumber) -> Missed {
    Missed::Failed(Failure::new(FailureClass::Internal, format!("page {number} was admitted without a token")))
}

impl From<Refused> for Missed {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Parked(park) => Self::Parked(park),
            Refused::Failed(failure) => Self::Failed(failure),
        }
    }
}

async fn receive(
    context: &ExtractionContext,
    number: PageNumber,
    mut stream: crate::transport::Body,
) -> Result<(Framed, PageBody), Broken> {
    let limits = FramingLimits { record_bytes: context.tenant.config.limits.record_bytes };
    let csv = &context.report.csv;
    let mut framer = match (csv.repair, csv.ragged) {
        (Repair::Off, Ragged::Fail) => Framer::new(limits),
        // What can't be read becomes a record that is set aside, where the page is written.
        _ => Framer::lenient(limits),
    };
    let mut body = PageBody::default();
    let block_bytes = context.memory.block_bytes();
    let mut fill = BytesMut::with_capacity(block_bytes.min(FIRST_FILL));
    while let Some(chunk) = stream.next().await.map_err(Broken::Fault)? {
        framer.push(&chunk).map_err(|fault| broken_framing(number, &fault))?;
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            let n = rest.len().min(block_bytes - fill.len());
            fill.extend_from_slice(&rest[..n]);
            rest = &rest[n..];
            if fill.len() == block_bytes {
                store(context, number, &mut body, fill.split().freeze()).await?;
                fill = BytesMut::with_capacity(block_bytes);
            }
        }
    }
    if !fill.is_empty() {
        if body.is_spilling() {
            store(context, number, &mut body, fill.freeze()).await?;
        } else {
            body.keep(Block { bytes: fill.freeze(), room: None });
        }
    }
    let framed = framer.finish().map_err(|fault| broken_framing(number, &fault))?;
    // Without its header nothing is known of the others.
    if let Some(fault) = framed.broken.filter(|_| number == PageNumber::FIRST && framed.n_records == 1) {
        return Err(broken_framing(number, &fault));
    }
    Ok((framed, body))
}

/// Finds room for a block: in memory, or in scratch.
async fn store(
    context: &ExtractionContext,
    number: PageNumber,
    body: &mut PageBody,
    bytes: Bytes,
) -> Result<(), Broken> {
    if !body.is_spilling() {
        let room = find_room(context, bytes.len() as u64).await;
        if let Some(room) = room {
            body.keep(Block { bytes, room: Some(room) });
            return Ok(());
        }
    }
    spill(context, number, body, bytes).await
}

/// Room in memory for so many bytes. With pages queued at the output it is the output that is slow: reading stops for a
/// while, and the tenant's side feels it as a slow reader. Otherwise a page before this one is missing, and waiting for
/// room would only keep this one back.
async fn find_room(context: &ExtractionContext, n_bytes: u64) -> Option<Room> {
    let began = Instant::now();
    loop {
        let freed = context.memory.freed();
        if let Some(room) = context.memory.try_take(n_bytes) {
            return Some(room);
        }
        if context.output_backlog.load(Ordering::Relaxed) == 0 || began.elapsed() >= WRITER_PATIENCE {
            return None;
        }
        let _ = tokio::time::timeout(BACKLOG_LOOK, freed).await;
    }
}

async fn spill(
    context: &ExtractionContext,
    number: PageNumber,
    body: &mut PageBody,
    bytes: Bytes,
) -> Result<(), Broken> {
    let file = body.take_scratch();
    let scratch = context.scratch.clone();
    let n_bytes = bytes.len() as u64;
    let written = context.files.run(move || {
        let mut file = match file {
            Some(file) => file,
            None => scratch.create()?,
        };
        file.append(&bytes)?;
        Ok::<_, std::io::Error>(file)
    });
    match written.await {
        Ok(Ok(file)) => {
            body.put_scratch(file, n_bytes);
            Ok(())
        }
        Ok(Err(e)) if is_full(&e) => Err(Broken::NoRoom),
        Ok(Err(e)) => Err(Broken::Scratch(Failure::new(
            FailureClass::Local,
            format!("page {number}: scratch can't be written: {e}; check engine.scratch_dir"),
        ))),
        Err(_) => Err(Broken::NoRoom),
    }
}

/// Whether the disk, or our share of it, is full.
pub fn is_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge
    )
}

fn broken_framing(number: PageNumber, fault: &FramingFault) -> Broken {
    Broken::Data(Failure::new(FailureClass::Data, format!("page {number}: {fault}")))
}
