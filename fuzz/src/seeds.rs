//! The seeds: small inputs of each target's real shapes, kept in `seeds/`.

use std::path::Path;

/// Tries every seed below that folder on its target's property. Gives the number of seeds tried.
///
/// # Panics
/// Where a property is broken, or the folder has seeds of a target that there is not.
pub fn replay(folder: &Path) -> usize {
    let mut n_tried = 0;
    for target in std::fs::read_dir(folder).expect("the folder of seeds can be read") {
        let target = target.expect("it can be read").path();
        let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (_, holds) = crate::TARGETS.iter().find(|(known, _)| *known == name).expect("each folder is a target's");
        for seed in std::fs::read_dir(&target).expect("a target's seeds can be read") {
            holds(&std::fs::read(seed.expect("it can be read").path()).expect("a seed can be read"));
            n_tried += 1;
        }
    }
    n_tried
}
