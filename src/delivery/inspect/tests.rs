//! Files on a real disk, verified and repaired.
