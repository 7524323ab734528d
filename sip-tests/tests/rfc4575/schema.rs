//! The RFC's schema, as xmllint understands it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of the test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tandem-rfc4575-{}-{next}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder of our own");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Holds documents against the schema: what xmllint has to say against them; nothing where all are valid.
pub fn complaints(documents: &[String]) -> String {
    let folder = Folder::new();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/xml/conference-info.xsd");
    let mut command = Command::new("xmllint");
    command.args(["--noout", "--nonet", "--schema"]).arg(&schema);
    for (nth, document) in documents.iter().enumerate() {
        let path = folder.0.join(format!("{nth}.xml"));
        fs::write(&path, document).expect("a folder of our own");
        command.arg(path);
    }
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| {
        panic!("xmllint cannot be started ({error}): it comes with libxml2-utils; `make peers` installs all peers")
    });
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.success() {
        true => String::new(),
        false => said,
    }
}

#[test]
fn xmllint_finds_what_the_schema_does_not_allow() {
    let good = "<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\" entity=\"sip:a@b\" version=\"0\"/>";
    assert_eq!(complaints(&[good.to_owned()]), "");
    for (right, wrong) in [
        ("version=\"0\"", "version=\"-1\""),
        ("entity=\"sip:a@b\"", ""),
        ("/>", "><users><user><status/></user></users></conference-info>"),
        ("conference-info\" e", "other\" e"),
    ] {
        assert_ne!(
            complaints(&[good.to_owned(), good.replacen(right, wrong, 1)]),
            "",
            "{wrong}"
        );
    }
}
