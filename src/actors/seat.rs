//! Where a report's output is driven from: its sink, and the thread for that sink.
//!
//! Plain files share one thread, which only writes. Whatever may block for long or is busy for long has another: a stream
//! and a host's own sink one each, since a stuck reader holds up its thread for ever; compressed files a few together.

use std::sync::OnceLock;

use parking_lot::Mutex;

use crate::actors::Lane;
use crate::actors::output::Treatment;
use crate::actors::workshop::Workshop;
use crate::config::{Compression, ReportConfig};
use crate::model::{Failure, FailureClass, Window};
use crate::sink::{Accounted, Bundle, FileSink, OutputNames, Packed, Packing, Sink, StdoutSink};

/// More threads would only take turns at the processors.
const MOST_PACKERS: usize = 4;

/// A report's sink, and where it is driven from.
pub struct Seat {
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// Its thread.
    pub lane: Lane,
    /// Whether a stuck reader may hold the thread up for ever.
    pub may_get_stuck: bool,
}

/// The threads that compress, started when they are needed.
pub struct Packers {
    is_inline: bool,
    lanes: Mutex<(Vec<Lane>, usize)>,
}

impl Packers {
    /// None yet; all inline if files are written inline.
    pub fn beside(files: &Lane) -> Self {
        Self { is_inline: files.is_inline(), lanes: Mutex::default() }
    }

    fn next(&self) -> std::io::Result<Lane> {
        if self.is_inline {
            return Ok(Lane::inline());
        }
        let most = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_PACKERS);
        let (lanes, n_given) = &mut *self.lanes.lock();
        if lanes.len() < most {
            lanes.push(Lane::start(&format!("cxtract-pack-{}", lanes.len()))?);
        }
        *n_given += 1;
        Ok(lanes[*n_given % lanes.len()].clone())
    }

    /// Returns once everything is done that was handed over so far.
    pub async fn settled(&self) {
        let lanes = self.lanes.lock().0.clone();
        for lane in lanes {
            let _ = lane.run(|| ()).await;
        }
    }
}

impl Workshop {
    /// The sink of a report, and the thread that it is driven from.
    ///
    /// # Errors
    /// If there is no thread for it, or it can't keep what the report asks to be kept beside the output.
    pub fn seat(&self, report: &ReportConfig, window: Window, own_lane: &OnceLock<Lane>) -> Result<Seat, Failure> {
        let backstage = &self.seams.backstage;
        let start_one = || Lane::start(&format!("sink-{}", report.name));
        if let Some(factory) = self.sinks.get(&report.name) {
            let sink = factory();
            if Treatment::of(report, 0).needs_sides() && !sink.has_sides() {
                let message = format!(
                    "{}: its own sink has no place for what csv.ragged: reject or csv.repair: join set aside; remove \
                     the keys, or have the sink take side files",
                    report.name
                );
                return Err(Failure::new(FailureClass::Config, message));
            }
            if report.output.compression != Compression::None {
                let message = format!(
                    "{}: output.compression is for files and standard output; what its own sink gets is not compressed, \
                     set it to none for this report",
                    report.name
                );
                return Err(Failure::new(FailureClass::Config, message));
            }
            let lane = self.own_lane(report, own_lane, start_one)?;
            return Ok(Seat { sink: Box::new(Accounted::new(sink, backstage)), lane, may_get_stuck: true });
        }
        let packing = match report.output.compression {
            Compression::None => None,
            Compression::Gzip => Some(Packing::Gzip),
            Compression::Zstd => Some(Packing::Zstd),
        };
        let packed = |sink: Box<dyn Sink>| match packing {
            Some(packing) => Box::new(Packed::new(sink, packing)) as Box<dyn Sink>,
            None => sink,
        };
        let Some(path) = report.output_file(&window) else {
            let lane = self.own_lane(report, own_lane, start_one)?;
            return Ok(Seat { sink: packed(Box::new(StdoutSink::new(backstage.clone()))), lane, may_get_stuck: true });
        };
        let (names, disk) = (OutputNames::of(path), self.seams.disk.clone());
        let file = packed(Box::new(FileSink::new(disk.clone(), &names, backstage.clone())));
        let lane = match packing {
            Some(_) => self.own_lane(report, own_lane, || self.packers.next())?,
            None => self.files.clone(),
        };
        let sink = Box::new(Bundle::new(file, disk, names, backstage.clone()));
        Ok(Seat { sink, lane, may_get_stuck: false })
    }

    /// A rebuilt writer gets its predecessor's thread, whose last jobs are then over before the new sink's first.
    fn own_lane(
        &self,
        report: &ReportConfig,
        own_lane: &OnceLock<Lane>,
        make: impl FnOnce() -> std::io::Result<Lane>,
    ) -> Result<Lane, Failure> {
        if let Some(lane) = own_lane.get() {
            return Ok(lane.clone());
        }
        let lane = match self.files.is_inline() {
            true => Lane::inline(),
            false => make().map_err(|e| {
                Failure::new(FailureClass::Local, format!("{}: no thread for its sink: {e}", report.name))
            })?,
        };
        Ok(own_lane.get_or_init(|| lane).clone())
    }
}
