//! What reports ask to be done to their records and bytes, and what must come of it: the files that an undisturbed run
//! leaves, which are themselves held to the rows that the tenant has.
//!
//! Good rows are known from the tenant, not from a parser: it knows which of its rows it has spoiled.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cxtract::delivery::SimDisk;
use cxtract::mock::{Flaw, MockTenant, Tenant};
use cxtract::{Ending, Manifest};
use fastrand::Rng;

use crate::world::{Asked, World};

/// How an output is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    None,
    /// gzip
    Gzip,
    /// Zstandard
    Zstd,
}

/// What a report asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// How its output is packed.
    pub packing: Packing,
    /// Whether what can be mended is mended, and the rest set aside.
    pub mends: bool,
}

impl Form {
    /// Nothing but the bytes as they come.
    pub const PLAIN: Self = Self { packing: Packing::None, mends: false };

    /// Any.
    pub fn draw(rng: &mut Rng) -> Self {
        let packing = [Packing::None, Packing::Gzip, Packing::Zstd][rng.usize(..3)];
        Self { packing, mends: rng.u32(0..5) < 2 }
    }

    /// Its lines in a report's configuration.
    pub fn lines(self) -> String {
        let packing = match self.packing {
            Packing::None => "",
            Packing::Gzip => "output: {compression: gzip}\n",
            Packing::Zstd => "output: {compression: zstd}\n",
        };
        format!("{packing}{}", if self.mends { "csv: {repair: join, ragged: reject}\n" } else { "" })
    }

    /// Where the report's output ends up.
    pub fn output(self, report: &str) -> PathBuf {
        let ending = match self.packing {
            Packing::None => "",
            Packing::Gzip => ".gz",
            Packing::Zstd => ".zst",
        };
        PathBuf::from(format!("/sim/out/{report}.csv{ending}"))
    }

    /// The bytes before they were packed.
    ///
    /// # Errors
    /// If they can't be unpacked.
    pub fn unpacked(self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut plain = Vec::new();
        let done = match self.packing {
            Packing::None => return Ok(bytes.to_vec()),
            Packing::Gzip => flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut plain),
            Packing::Zstd => {
                zstd::stream::read::Decoder::new(bytes).and_then(|mut decoder| decoder.read_to_end(&mut plain))
            }
        };
        done.map(|_| plain).map_err(|error| format!("what is packed can't be unpacked: {error}"))
    }
}

/// The names beside an output.
pub fn beside(output: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", output.display()))
}

/// What a delivery leaves, by name, but for the manifest.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The names of side files that a report may have.
pub fn sides(report: &str) -> [PathBuf; 2] {
    [".csv.rejects.csv", ".csv.repairs.jsonl"].map(|suffix| PathBuf::from(format!("/sim/out/{report}{suffix}")))
}

/// The files of that report on a disk.
pub fn files_on(disk: &SimDisk, report: &str, form: Form) -> Files {
    let names = [form.output(report)].into_iter().chain(sides(report));
    names.filter_map(|name| Some((name.clone(), disk.contents(&name)?))).collect()
}

/// What must come of a report.
#[derive(Clone, Debug)]
pub struct Due {
    /// Its files.
    pub files: Files,
    /// What its manifest must say of records and pages.
    pub manifest: Manifest,
}

impl Due {
    /// Holds what was found to it.
    pub fn judge(&self, report: &str, found: &Files) -> Result<(), String> {
        let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
        if names(found) != names(&self.files) {
            return Err(format!("{report} left {:?} and not {:?}", names(found), names(&self.files)));
        }
        for (name, due) in &self.files {
            let found = &found[name];
            if found != due {
                let at = found.iter().zip(due).take_while(|(a, b)| a == b).count();
                return Err(format!(
                    "{} differs at byte {at}: {} bytes, {} due",
                    name.display(),
                    found.len(),
                    due.len()
                ));
            }
        }
        Ok(())
    }

    /// Holds a manifest to it. Calls, times and query ids are another run's own.
    pub fn judge_manifest(&self, report: &str, told: &Manifest) -> Result<(), String> {
        let due = &self.manifest;
        let is_same = told.output == due.output
            && told.csv == due.csv
            && told.pages == due.pages
            && told.columns == due.columns
            && told.reconciliation.rows == due.reconciliation.rows;
        let counts = |manifest: &Manifest| {
            let parts = manifest.parts.iter().flatten().map(|part| (part.rows, part.pages, part.bytes));
            parts.collect::<Vec<_>>()
        };
        if is_same && counts(told) == counts(due) {
            return Ok(());
        }
        Err(format!("{report}: the manifest says {told:?} and not {due:?}"))
    }
}

/// A report whose files are of interest.
#[derive(Clone, Debug)]
pub struct Formed {
    /// The report.
    pub asked: Asked,
    /// What it asks for.
    pub form: Form,
    /// All its lines.
    pub lines: String,
}

/// What an undisturbed run of these reports leaves, at tenants with the same data and no faults.
///
/// # Errors
/// If it ends otherwise than delivered, or leaves what the tenants' rows don't allow.
pub fn undisturbed(world: &World, formed: &[Formed]) -> Result<BTreeMap<String, Due>, String> {
    if formed.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut calm = World::new(world.seed);
    (calm.tenants, calm.bound) = (world.tenants.clone(), Duration::from_secs(3600));
    for name in world.tenants.keys() {
        let lines = "rate_limit: {requests_per_second: 1000, burst: 1000}\nmax_in_flight: 8\nmax_queries: 6\n\
                     poll: {initial_delay: 100ms, max_delay: 100ms}";
        calm.add_tenant_lines(name, lines);
    }
    calm.yaml.push_str("reports:\n");
    for Formed { asked, lines, .. } in formed {
        calm.add_report_lines(&asked.report, &asked.tenant, &asked.template, lines);
    }
    let after = calm.run()?;
    let mut due = BTreeMap::new();
    for Formed { asked, form, .. } in formed {
        let manifest = match &after.endings[&asked.report] {
            Ok(Ending::Complete(manifest)) => (**manifest).clone(),
            other => return Err(format!("{}, undisturbed: {other:?}", asked.report)),
        };
        let files = files_on(&after.disk, &asked.report, *form);
        let tenant = after.tenants[&asked.tenant].lock();
        hold_to_rows(&tenant, asked, *form, &files, &manifest)
            .map_err(|why| format!("undisturbed, {}: {why}", asked.report))?;
        due.insert(asked.report.clone(), Due { files, manifest });
    }
    Ok(due)
}

/// Good rows are in the output byte for byte, each once and in order; every spoiled row was mended or set aside.
fn hold_to_rows(tenant: &Tenant, asked: &Asked, form: Form, files: &Files, manifest: &Manifest) -> Result<(), String> {
    let output = form.unpacked(files.get(&form.output(&asked.report)).ok_or("there is no output")?)?;
    let expected = tenant.expected(&asked.template);
    let (mut rest, mut n_good, mut n_spoiled, mut n_sure, mut missing) = (&output[..], 0, 0, 0, None);
    expected.each_row(|row, flaw| {
        if let Some(flaw) = flaw {
            n_spoiled += 1;
            n_sure += u64::from(flaw == Flaw::BrokenAmid);
            return;
        }
        n_good += 1;
        match memchr::memmem::find(rest, row) {
            Some(at) => rest = &rest[at + row.len()..],
            None => missing = missing.take().or_else(|| Some(String::from_utf8_lossy(row).into_owned())),
        }
    });
    if let Some(row) = missing {
        return Err(format!("the good row {row:?} is not in the output, or not in its place"));
    }
    if n_spoiled == 0 && output != expected.bytes() {
        return Err("the output is not what the tenant has".to_owned());
    }
    let (rows, csv) = (manifest.output.rows, manifest.csv);
    // Of a row that is broken and can't be mended each line is a reject.
    let is_accounted = rows == n_good + csv.repaired && rows + csv.rejected >= n_good + n_spoiled;
    if !is_accounted || !(n_sure..=n_spoiled).contains(&csv.repaired) {
        return Err(format!("{n_good} good rows and {n_spoiled} others: {rows} in the output, {csv:?}"));
    }
    let mut reader = csv::ReaderBuilder::new().from_reader(&output[..]);
    let n_records = reader.records().filter(Result::is_ok).count() as u64;
    if n_records != rows {
        return Err(format!("{n_records} records of the header's length, the manifest says {rows}"));
    }
    let [rejects, repairs] = sides(&asked.report);
    let n_lines = |name| files.get(name).map_or(0, |text| text.split(|b| *b == b'\n').count() as u64 - 1);
    let mut reader = csv::ReaderBuilder::new().from_reader(files.get(&rejects).map_or(&[][..], Vec::as_slice));
    let n_rejects = reader.byte_records().filter(Result::is_ok).count() as u64;
    if (n_rejects, n_lines(&repairs)) != (csv.rejected, csv.repaired) {
        return Err(format!("{n_rejects} rejects and {} receipts, {csv:?}", n_lines(&repairs)));
    }
    Ok(())
}

/// A tenant with the data of another one, and nothing that could go wrong.
pub fn calm_tenant(seed: u64) -> cxtract::mock::MockTenantBuilder {
    MockTenant::builder().seed(seed).requests_per_second(f64::INFINITY)
}
