//! What comes before an extraction's stages: who may work on the report, what an order means, and what is stored.
//!
//! Plain asynchronous steps over the workshop; the supervisor decides when. Stores are asked on the store's thread,
//! disks on the files' thread.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::actors::workshop::Workshop;
use crate::actors::{Extract, endings, memo};
use crate::config::ReportConfig;
use crate::model::{Ending, Failure, FailureClass, Manifest, Park, ParkReason};
use crate::sink::{self, OutputNames, Publication, SinkError};
use crate::state::agenda::{Agenda, AgendaFault, Dropped, Known, Step, Task};
use crate::state::{Claim, ExtractionKey, Store, StoreError, StoredExtraction};

/// A report that this process may work on, and what is to be done for it.
pub struct Opened {
    /// Keeps others away.
    pub claim: Claim,
    /// What is to be extracted, in order.
    pub tasks: VecDeque<Task>,
    /// What people should know.
    pub remarks: Vec<String>,
}

/// What an extraction is built from.
pub enum Ready {
    /// Stages.
    Build(Box<StoredExtraction>),
    /// Nothing: an earlier run had all but its last steps, and they are done now.
    Delivered(Arc<Manifest>),
}

/// What becomes of an extraction whose query has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It is submitted again.
    SubmitAgain,
    /// It was submitted again before: the report fails.
    Again,
}

/// What orders for one report mean now, each by itself. Changes nothing.
///
/// # Errors
/// The ending, where the store doesn't answer; for each order, where nothing can be done for it.
pub async fn plan(
    shop: &Workshop,
    report: &Arc<ReportConfig>,
    orders: Vec<Extract>,
) -> Result<Vec<Result<Agenda, Ending>>, Ending> {
    let (name, tenant) = (report.name.clone(), report.tenant.clone());
    let known = shop.seams.store.call(move |store| Known::of(store, &name, &tenant)).await;
    let known = known.map_err(|error| endings::of_store(&report.name, &error))?;
    let (destination, now) = (shop.destination(report), shop.seams.clock.now());
    let (disk, report_too) = (shop.seams.disk.clone(), report.clone());
    let planned = shop.files.run(move || {
        let here = std::env::current_dir().unwrap_or_default();
        let orders: Vec<_> = orders.iter().map(|order| (order.asked, order.fresh)).collect();
        let agendas = known.agendas((&report_too, destination), &orders, now, &here, &*disk);
        let refused = |fault: AgendaFault| failed(&report_too, FailureClass::Config, &fault.to_string());
        agendas.into_iter().map(|agenda| agenda.map_err(refused)).collect()
    });
    planned.await.map_err(|dead| failed(report, FailureClass::Internal, &dead.to_string()))
}

/// Claims the report, finds out what is to be done, and gives up what is given up.
///
/// # Errors
/// The ending, where nothing can be done.
pub async fn open(shop: &Workshop, report: &Arc<ReportConfig>, order: &Extract) -> Result<Opened, Ending> {
    let (name, tenant) = (report.name.clone(), report.tenant.clone());
    let claimed = shop.seams.store.call(move |store| store.claim(&name, &tenant)).await;
    let Some(claim) = claimed.map_err(|error| endings::of_store(&report.name, &error))? else {
        let message = format!("{}: another process is working on it; it is left alone here", report.name);
        return Err(Ending::Parked(Park { reason: ParkReason::Busy, message, until: None }));
    };
    let planned = plan(shop, report, vec![order.clone()]).await?.pop();
    let Agenda { drops, tasks, remarks } = planned.unwrap_or_else(|| Ok(Agenda::default()))?;
    for dropped in drops {
        give_up(shop, report, dropped).await?;
    }
    Ok(Opened { claim, tasks: tasks.into(), remarks })
}

async fn give_up(shop: &Workshop, report: &ReportConfig, dropped: Dropped) -> Result<(), Ending> {
    let Dropped { key, output, delivery, .. } = dropped;
    let is_finished = match delivery {
        // Some of its names may be the final ones already: half of it must not stay.
        Some(delivery) => match redo(shop, report, &delivery).await {
            Ok(()) => true,
            // What was to be delivered is gone: nothing of it can be.
            Err(Ending::Failed(failure)) if failure.class == FailureClass::Sink => {
                tracing::warn!("{}; it is given up", failure.message);
                remove_unfinished(shop, report, output).await;
                false
            }
            Err(ending) => return Err(ending),
        },
        None if output.is_empty() || output == "-" => false,
        None => {
            remove_unfinished(shop, report, output).await;
            false
        }
    };
    let forgotten = shop.seams.store.call(move |store| match (is_finished, store.load(&key)?) {
        (true, Some(StoredExtraction { manifest: Some(manifest), .. })) => store.complete(&key, &manifest, None),
        _ => store.forget(&key),
    });
    forgotten.await.map_err(|error| endings::of_store(&report.name, &error))
}

async fn remove_unfinished(shop: &Workshop, report: &ReportConfig, output: String) {
    let disk = shop.seams.disk.clone();
    let removed = shop.files.run(move || sink::remove_unfinished(&OutputNames::of(output), &*disk)).await;
    if let Ok(Err(error)) = removed {
        tracing::warn!(report = %report.name, %error, "what was given up could not be removed");
    }
}

async fn redo(shop: &Workshop, report: &ReportConfig, delivery: &str) -> Result<(), Ending> {
    let publication =
        Publication::parse(delivery).map_err(|why| unreadable(report, "how to finish its delivery", &why))?;
    let disk = shop.seams.disk.clone();
    let redone: Result<Result<(), SinkError>, _> = shop.files.run(move || publication.redo(&*disk)).await;
    match redone {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(endings::of_file(&report.name, &error)),
        Err(dead) => Err(failed(report, FailureClass::Internal, &dead.to_string())),
    }
}

/// Has stored that a window is begun or taken up; what is known of it then.
///
/// # Errors
/// The ending, where that can't be stored.
pub async fn begin(shop: &Workshop, task: &Task) -> Result<StoredExtraction, Ending> {
    let Task { key, begun, step } = task.clone();
    let name = key.report.clone();
    let begun = shop.seams.store.call(move |store| match step {
        Step::GoOn => store.take_up(&key),
        Step::Start | Step::Skip(_) => {
            store.begin(&key, &begun)?;
            found(store, &key)
        }
    });
    begun.await.map_err(|error| endings::of_store(&name, &error))
}

/// What a new incarnation goes on from. Where only the last steps of a delivery are missing, they are done.
///
/// # Errors
/// The ending, where there is nothing to go on from.
pub async fn ready(shop: &Workshop, report: &Arc<ReportConfig>, task: &Task) -> Result<Ready, Ending> {
    let key = task.key.clone();
    let stored = shop.seams.store.call(move |store| found(store, &key)).await;
    let stored = stored.map_err(|error| endings::of_store(&report.name, &error))?;
    if let (Some(delivery), Some(text)) = (&stored.delivery, &stored.manifest) {
        redo(shop, report, delivery).await?;
        let manifest: Manifest =
            serde_json::from_str(text).map_err(|error| unreadable(report, "its manifest", &error.to_string()))?;
        let (key, text, watermark) = (task.key.clone(), text.clone(), task.watermark(report));
        let completed = shop.seams.store.call(move |store| store.complete(&key, &text, watermark)).await;
        completed.map_err(|error| endings::of_store(&report.name, &error))?;
        return Ok(Ready::Delivered(Arc::new(manifest)));
    }
    match shop.preflight(report, task.key.window).await {
        Ok(()) => Ok(Ready::Build(Box::new(stored))),
        Err(failure) => Err(Ending::Failed(failure)),
    }
}

/// The query of a part is gone: goes back to where that part began, if that is still allowed.
///
/// # Errors
/// The ending, where that can't be stored.
pub async fn expire(shop: &Workshop, report: &ReportConfig, task: &Task, part: u32) -> Result<Expiry, Ending> {
    let key = task.key.clone();
    let expired = shop.seams.store.call(move |store| {
        let stored = found(store, &key)?;
        if stored.queries.get(&part).is_some_and(|query| query.after_loss) {
            return Ok(Ok(Expiry::Again));
        }
        let back = stored.checkpoint.as_ref().map(|checkpoint| memo::before_part(checkpoint, part)).transpose();
        Ok(match back {
            Ok(back) => {
                store.drop_expired_query(&key, part, back.flatten().as_ref())?;
                Ok(Expiry::SubmitAgain)
            }
            Err(why) => Err(why),
        })
    });
    let expired = expired.await.map_err(|error| endings::of_store(&report.name, &error))?;
    expired.map_err(|why| unreadable(report, "its position", &why))
}

fn found(store: &dyn Store, key: &ExtractionKey) -> Result<StoredExtraction, StoreError> {
    store.load(key)?.ok_or_else(|| StoreError::failed("looking up what was begun", "it is not there any more"))
}

fn failed(report: &ReportConfig, class: FailureClass, why: &str) -> Ending {
    // Conflicts name the report themselves.
    let message = match why.contains(report.name.as_str()) {
        true => why.to_owned(),
        false => format!("{}: {why}", report.name),
    };
    Ending::Failed(Failure::new(class, message))
}

/// What passed the store's checksums and still can't be read was written by another version.
pub fn unreadable(report: &ReportConfig, what: &str, why: &str) -> Ending {
    let why = format!("{what} in the state store can't be read: {why}; run with --fresh to start again");
    failed(report, FailureClass::Config, &why)
}
