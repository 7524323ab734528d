//! Descriptions of a client as the node says them for it: on hold, and off it.

/// The same description on hold, medium by medium: what was to be received is not (RFC 3264 8.4).
pub(super) fn held(description: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    // Of the medium; a direction that is not said is sendrecv (RFC 8866 6.7).
    let mut is_said = true;
    for line in description.lines().map(str::trim_end) {
        if line.starts_with("m=") && !std::mem::replace(&mut is_said, false) {
            lines.push("a=sendonly");
        }
        is_said |= matches!(line, "a=sendrecv" | "a=sendonly" | "a=recvonly" | "a=inactive");
        lines.push(match line {
            "a=sendrecv" => "a=sendonly",
            "a=recvonly" => "a=inactive",
            other => other,
        });
    }
    if !is_said {
        lines.push("a=sendonly");
    }
    lines.join("\r\n") + "\r\n"
}

/// The same description, newer (RFC 3264 8: the version of its origin is one higher) and with this direction in each medium.
pub(super) fn directed(description: &str, direction: &str) -> String {
    let is_direction = |line: &str| matches!(line, "a=sendrecv" | "a=sendonly" | "a=recvonly" | "a=inactive");
    let mut lines: Vec<String> = Vec::new();
    for line in description
        .lines()
        .map(str::trim_end)
        .filter(|line| !is_direction(line))
    {
        lines.push(newer(line).unwrap_or_else(|| line.to_owned()));
        if line.starts_with("m=") {
            // Behind the lines of the medium that come before attributes (RFC 8866 5).
            lines.push(format!("a={direction}"));
        }
    }
    // `m=`, `i=`, `c=`, `b=`, `k=`, then `a=`.
    for at in 1..lines.len() {
        let is_early = |line: &str| ["i=", "c=", "b=", "k="].iter().any(|kind| line.starts_with(kind));
        if is_direction(&lines[at - 1]) && is_early(&lines[at]) {
            lines.swap(at - 1, at);
        }
    }
    lines.join("\r\n") + "\r\n"
}

/// `o=- 1 2 IN ...` to `o=- 1 3 IN ...`.
fn newer(line: &str) -> Option<String> {
    let rest = line.strip_prefix("o=")?;
    let mut parts: Vec<&str> = rest.split(' ').collect();
    let version = parts.get(2)?.parse::<u64>().ok()?.checked_add(1)?.to_string();
    parts[2] = &version;
    Some(format!("o={}", parts.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_description_goes_on_hold_and_back() {
        let said = "v=0\r\no=- 7 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\nb=AS:64\r\n\
                    a=mid:0\r\na=sendrecv\r\n";
        let held = directed(said, "sendonly");
        assert_eq!(
            held,
            "v=0\r\no=- 7 3 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\nb=AS:64\r\n\
             a=sendonly\r\na=mid:0\r\n"
        );
        let back = directed(&held, "sendrecv");
        assert!(back.contains("o=- 7 4 ") && back.contains("a=sendrecv") && !back.contains("sendonly"));
    }

    #[test]
    fn who_holds_receives_nothing_in_any_medium() {
        for (said, wanted) in [
            (
                "v=0\r\na=x\r\nm=audio 9\r\na=sendrecv\r\nm=video 9\r\na=mid:1\r\n",
                "v=0\r\na=x\r\nm=audio 9\r\na=sendonly\r\nm=video 9\r\na=mid:1\r\na=sendonly\r\n",
            ),
            (
                "v=0\r\nm=audio 9\r\nm=video 9\r\na=recvonly\r\n",
                "v=0\r\nm=audio 9\r\na=sendonly\r\nm=video 9\r\na=inactive\r\n",
            ),
            (
                "v=0\r\nm=audio 9\r\na=inactive\r\n",
                "v=0\r\nm=audio 9\r\na=inactive\r\n",
            ),
        ] {
            assert_eq!(held(said), wanted);
        }
    }
}
