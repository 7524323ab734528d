//! The call flows of RFC 3665, 3666 (the SIP side) and 5359 that concern a proxy or registrar, with the node in each of their places:
//! the RFCs' own messages go in, and what comes out is what the RFC shows next. Which sections run, and why others do not, is in
//! `flows/sections.md`.

#![allow(missing_docs)]

#[path = "flows/compare.rs"]
mod compare;
#[path = "flows/raw.rs"]
mod raw;
#[path = "flows/rfc3665.rs"]
mod rfc3665;
#[path = "flows/rfc3666.rs"]
mod rfc3666;
#[path = "flows/rfc5359.rs"]
mod rfc5359;
#[path = "flows/runner.rs"]
mod runner;
#[path = "flows/scene.rs"]
mod scene;

use scene::Scene;
use std::panic::catch_unwind;

/// Each of them, so that one failure does not hide the others.
fn all(scenes: &'static [Scene]) {
    let only = std::env::var("FLOW").unwrap_or_default();
    let wanted = scenes.iter().filter(|scene| only.is_empty() || scene.section == only);
    let failed: Vec<String> = wanted
        .filter(|scene| catch_unwind(|| runner::run(scene)).is_err())
        .map(Scene::title)
        .collect();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), scenes.len());
}

#[test]
fn the_flows_of_rfc_3665() {
    all(rfc3665::SCENES);
}

#[test]
fn the_flows_of_rfc_3666() {
    all(rfc3666::SCENES);
}

#[test]
fn the_flows_of_rfc_5359() {
    all(rfc5359::SCENES);
}
