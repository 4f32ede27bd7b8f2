//! Fixtures: pages, positions, a manifest, and the simplest sink that keeps the contract.

use std::sync::Arc;

use bytes::Bytes;
use cxtract::model::{
    CsvCounts, FileMark, HttpCounts, Manifest, OutputRecord, PageNumber, Position, Reconciliation, ReportName,
    TenantName, Timestamp, Verdict, Window,
};
use cxtract::sink::{Backstage, Digester, Sealed, Sink, SinkError};
use parking_lot::Mutex;

/// Blocks of many sizes, around those at which a sink may change its ways.
pub(crate) fn blocks() -> Vec<Bytes> {
    let sizes = [1, 0, 17, 4_096, 262_143, 1, 262_144, 262_145, 700_000, 3, 65_536, 1_500_000, 9];
    let mut rng = fastrand::Rng::with_seed(11);
    let mut random = |n: &usize| {
        let mut block = vec![0; *n];
        rng.fill(&mut block);
        Bytes::from(block)
    };
    sizes.iter().map(&mut random).collect()
}

pub(crate) fn small_pages(n: u64) -> Vec<Bytes> {
    (1..=n).map(|page| Bytes::from(format!("{page},row of page {page}\n").repeat(3))).collect()
}

pub(crate) fn joined(blocks: &[Bytes]) -> Vec<u8> {
    blocks.concat()
}

pub(crate) fn sealed(blocks: &[Bytes]) -> Sealed {
    let mut digester = Digester::new(&Backstage::inline());
    blocks.iter().for_each(|block| digester.update(block));
    let bytes = blocks.iter().map(|block| block.len() as u64).sum();
    Sealed { bytes, sha256: digester.finish().unwrap() }
}

/// The position behind these blocks, one to a page.
pub(crate) fn position_after(blocks: &[Bytes]) -> Position {
    let output = blocks.iter().fold(FileMark::START, |mark, block| mark.after(block));
    Position { next_page: PageNumber(blocks.len() as u64 + 1), output, ..Position::start() }
}

pub(crate) fn manifest(of: &Sealed) -> Manifest {
    let (from, to) = (Timestamp(0), Timestamp(86_399_999));
    Manifest {
        version: 1,
        report: ReportName::new("calls"),
        tenant: TenantName::new("acme"),
        query_id: None,
        window: Window { from, to },
        output: OutputRecord { path: "o.csv".into(), bytes: of.bytes, rows: 0, sha256: of.sha256.clone() },
        columns: vec!["id".into()],
        pages: 0,
        reconciliation: Reconciliation {
            rows: 0,
            total_count_first: None,
            total_count_last: None,
            total_rows: None,
            verdict: Verdict::Unknown,
        },
        csv: CsvCounts::default(),
        http: HttpCounts::default(),
        resumed: 0,
        started_at: from,
        finished_at: to,
        parts: None,
    }
}

/// Keeps everything in memory: what a host's own destination looks like.
#[derive(Default)]
pub(crate) struct VecSink {
    shared: Arc<Mutex<Shared>>,
    pending: Vec<u8>,
}

#[derive(Default)]
struct Shared {
    committed: Vec<u8>,
    shown: Option<Vec<u8>>,
}

impl VecSink {
    pub(crate) fn reopened(&self) -> Self {
        Self { shared: self.shared.clone(), pending: Vec::new() }
    }

    pub(crate) fn shown(&self) -> Option<Vec<u8>> {
        self.shared.lock().shown.clone()
    }
}

impl Sink for VecSink {
    fn begin(&mut self, position: Option<&Position>) -> Result<(), SinkError> {
        let committed = &mut self.shared.lock().committed;
        let mark = position.map_or(FileMark::START, |position| position.output);
        let len = usize::try_from(mark.offset).unwrap();
        if committed.len() < len || FileMark::START.after(&committed[..len]) != mark {
            return Err(SinkError::lost("memory", "other bytes than were committed"));
        }
        committed.truncate(len);
        self.pending.clear();
        Ok(())
    }

    fn write(&mut self, block: &Bytes) -> Result<(), SinkError> {
        self.pending.extend_from_slice(block);
        Ok(())
    }

    fn commit(&mut self, position: &Position) -> Result<(), SinkError> {
        let mut shared = self.shared.lock();
        shared.committed.append(&mut self.pending);
        assert_eq!(FileMark::START.after(&shared.committed), position.output);
        Ok(())
    }

    fn finish(&mut self, _manifest: &Manifest) -> Result<(), SinkError> {
        let mut shared = self.shared.lock();
        shared.shown = Some(shared.committed.clone());
        Ok(())
    }

    fn abort(&mut self) {
        self.pending.clear();
    }
}
