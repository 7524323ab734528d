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

/// The list of sections is whole, and says what runs.
#[test]
fn every_section_runs_or_says_why_not() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/flows/sections.md");
    let text = std::fs::read_to_string(path).expect("the list");
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| 3") || line.starts_with("| 5"));
    let listed: Vec<(String, String)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            assert!(cells[2] != "none" || !cells[3].is_empty(), "{row}: no reason");
            (cells[1].to_owned(), cells[2].to_owned())
        })
        .collect();
    let sections: Vec<String> = ["rfc3665", "rfc3666", "rfc5359"]
        .into_iter()
        .flat_map(|rfc| {
            let number = |title: String| format!("{} {}", &rfc[3..], title.split(' ').next().unwrap_or_default());
            raw::sections(rfc).into_iter().map(number).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        listed.iter().map(|(section, _)| section.clone()).collect::<Vec<_>>(),
        sections
    );
    let scenes = [rfc3665::SCENES, rfc3666::SCENES, rfc5359::SCENES].concat();
    for scene in &scenes {
        assert!(
            scene.slips.iter().all(|slip| slip.2.len() > 10),
            "{}: a difference without a reason",
            scene.title()
        );
    }
    for (section, roles) in listed {
        let runs = scenes
            .iter()
            .filter(|scene| format!("{} {}", &scene.rfc[3..], scene.section) == section);
        let runs: Vec<&str> = runs
            .map(|scene| scene.us.first().copied().unwrap_or("between"))
            .collect();
        let runs = if runs.is_empty() {
            "none".to_owned()
        } else {
            runs.join(", ")
        };
        assert_eq!(roles, runs, "{section}");
    }
}
