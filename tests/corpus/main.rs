//! Corpora of CSV, clean and damaged, and what becomes of every file under each setting.
//!
//! What a file means is known before it is made: the tables, their writer and the damage share nothing with the reader
//! under test, and the other reader beside it is the `csv` crate. Damaged files are made here from fixed seeds and
//! stored nowhere; the clean ones of csv-spectrum stand beside this file with their licence.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what it is for")]

mod case;
mod dice;
mod examples;
mod folder;
mod kinds;
mod report;
mod scorer;
mod spectrum;
mod tables;
