//! The page of a run in a real browser: Chromium without a screen, which lays it out at the width of a phone and of a
//! desk, in light and in dark. `scripts/test.sh` runs it.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests are tests, and start a browser")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use pretty_assertions::assert_eq;
use serde_json::Value;

/// A run that was rolled back, and one that was committed. What stands in their records is asked for below.
const RUNS: [&str; 2] = ["20261124-090000-homelab-91be", "20261122-161500-homelab-3f9c"];
const WIDTHS: [u32; 2] = [360, 1280];

/// Looks at the page in two frames, and says as JSON what it has seen. The page itself allows no script: this one is
/// around it. A colour's contrast is that of WCAG 2.2, "contrast ratio".
const LOOK: &str = r"
const light = colour => {
  const part = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const [red, green, blue] = colour.match(/[\d.]+/g).map(Number);
  return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
};
const backOf = (view, element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = view.getComputedStyle(at).backgroundColor;
    if (!/^rgba.*, 0\)$/.test(colour) && colour !== 'transparent') return colour;
  }
  return 'rgb(255, 255, 255)';
};
const between = (one, other) => {
  const lights = [one, other].map(light).sort((a, b) => b - a);
  return (lights[0] + 0.05) / (lights[1] + 0.05);
};
const contrast = (view, element) => between(view.getComputedStyle(element).color, backOf(view, element));
const look = frame => {
  const page = frame.contentDocument, view = frame.contentWindow;
  page.querySelectorAll('details').forEach(folded => folded.open = true);
  const all = selector => [...page.querySelectorAll(selector)];
  const hasText = element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  const texts = all('body *').filter(hasText);
  return {
    width: frame.clientWidth, needs: page.documentElement.scrollWidth,
    heading: all('h1').map(heading => heading.innerText), sections: all('h2').map(heading => heading.innerText),
    said: page.body.innerText, back: view.getComputedStyle(page.body).backgroundColor,
    hosts: all('main > section:nth-of-type(1) tbody tr').map(row => [...row.children].map(cell => cell.innerText)),
    bars: all('svg.bar').map(bar => ({
      label: bar.getAttribute('aria-label'), width: bar.getBoundingClientRect().width,
      stretches: [...bar.querySelectorAll('rect')].map(rect => rect.getBoundingClientRect().width),
    })),
    unnamed: all('th:not([scope]), svg:not([aria-label]), .wide:not([aria-label])').length
      + all('[tabindex]:not([aria-label]), [tabindex]:not([role])').length,
    dull: all('svg.bar rect, svg.bar text').filter(shape => {
      const fill = view.getComputedStyle(shape).fill;
      if (shape.tagName === 'rect') return between(fill, backOf(view, shape)) < 3;
      return between(fill, view.getComputedStyle(shape.previousElementSibling).fill) < 4.5;
    }).map(shape => `${shape.tagName}.${shape.getAttribute('class')}`),
    faint: texts.filter(element => element.checkVisibility() && contrast(view, element) < 4.5)
      .map(element => `${element.tagName}.${element.className}: ${element.innerText}`),
  };
};
addEventListener('load', () => {
  document.getElementById('seen').textContent = JSON.stringify([...document.querySelectorAll('iframe')].map(look));
});
";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;")
}

/// What the program writes for a run of the fixtures.
fn page_of(run: &str, home: &Path) -> String {
    let runs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/runs");
    let state = home.join("fleetdeploy");
    fs::create_dir_all(&state).unwrap();
    if !state.join("runs").exists() {
        std::os::unix::fs::symlink(runs, state.join("runs")).unwrap();
    }
    let mut show = Command::new(env!("CARGO_BIN_EXE_fleetdeploy"));
    let output = show.args(["show", run, "--html", "-"]).env("XDG_STATE_HOME", home).env("TZ", "UTC").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What two frames show of the page, narrow and wide.
fn seen(page: &str, home: &Path, is_dark: bool) -> [Value; 2] {
    let frames = WIDTHS.map(|width| {
        let (page, style) = (escaped(page), format!("border:0;width:{width}px;height:900px"));
        format!("<iframe style=\"{style}\" srcdoc=\"{page}\"></iframe>")
    });
    let around = format!(
        "<!DOCTYPE html><meta charset=utf-8><body>{}<pre id=seen></pre><script>{LOOK}</script>",
        frames.concat()
    );
    let file = home.join("around.html");
    fs::write(&file, around).unwrap();
    // As Blink counts them: dark is 0, light 1.
    let scheme = u8::from(!is_dark);
    let browser = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        .arg(format!("--user-data-dir={}", home.join("profile").display()))
        .args(["--timeout=60000", "--window-size=1400,1900"])
        .arg(format!("file://{}", file.display()))
        .stdin(Stdio::null())
        .output()
        .expect("chromium is installed");
    let (said, log) = (String::from_utf8_lossy(&browser.stdout), String::from_utf8_lossy(&browser.stderr));
    let console: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert_eq!(console, Vec::<&str>::new());
    let seen = said.split_once("<pre id=\"seen\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let (seen, _) = seen.unwrap_or_else(|| panic!("{said}\n{log}"));
    let text = seen.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str::<Vec<Value>>(&text).unwrap_or_else(|error| panic!("{error}: {text}")).try_into().unwrap()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
#[ignore = "needs chromium; scripts/test.sh runs it"]
fn a_page_is_readable_at_both_widths_in_light_and_in_dark_and_says_what_the_record_says() {
    let home = tempfile::tempdir().unwrap();
    let pages = RUNS.map(|run| page_of(run, home.path()));
    for is_dark in [false, true] {
        for (page, run) in pages.iter().zip(RUNS) {
            let mut backs = Vec::new();
            for seen in seen(page, home.path(), is_dark) {
                assert!(seen["needs"].as_u64() <= seen["width"].as_u64(), "{run} is wider than its frame: {seen}");
                assert_eq!(strings(&seen["faint"]), Vec::<&str>::new(), "{run}, dark: {is_dark}");
                assert_eq!(strings(&seen["dull"]), Vec::<&str>::new(), "{run}, dark: {is_dark}");
                assert_eq!(seen["unnamed"], 0, "{run}");
                assert_eq!(strings(&seen["heading"]).len(), 1, "{run}");
                for bar in seen["bars"].as_array().unwrap() {
                    let width = bar["width"].as_f64().unwrap();
                    let stretches: Vec<f64> =
                        bar["stretches"].as_array().unwrap().iter().map(|stretch| stretch.as_f64().unwrap()).collect();
                    assert!(width > 100.0 && !stretches.is_empty(), "{run}: {bar}");
                    assert!(stretches.iter().all(|stretch| *stretch > 0.5 && *stretch <= width), "{run}: {bar}");
                }
                backs.push(seen["back"].clone());
                says_what_the_record_says(run, &seen);
            }
            let back = if is_dark { "rgb(13, 17, 23)" } else { "rgb(255, 255, 255)" };
            assert!(backs.iter().all(|seen| seen == back), "{run}: {backs:?}");
        }
    }
}

/// The look around a page is no test if it sees nothing.
#[test]
#[ignore = "needs chromium; scripts/test.sh runs it"]
fn a_page_that_is_too_wide_or_too_faint_is_seen_as_such() {
    let home = tempfile::tempdir().unwrap();
    let page = page_of(RUNS[0], home.path());
    let wide = page.replace("body { margin: 0;", "body { margin: 0; min-width: 600px;");
    let [narrow, desk] = seen(&wide, home.path(), false);
    assert!(narrow["needs"].as_u64() > narrow["width"].as_u64(), "{narrow}");
    assert!(desk["needs"].as_u64() <= desk["width"].as_u64(), "{desk}");
    let faint = page.replace("--bad: #b3131d", "--bad: #ffb0b0");
    assert!(seen(&faint, home.path(), false).iter().all(|seen| !strings(&seen["faint"]).is_empty()));
    assert!(seen(&faint, home.path(), true).iter().all(|seen| strings(&seen["faint"]).is_empty()), "dark has its own");
    let dull = page.replace("--test: #1a7f37", "--test: #b0e0b0");
    assert!(seen(&dull, home.path(), false).iter().all(|seen| !strings(&seen["dull"]).is_empty()));
}

/// By the two records as they lie in `tests/fixtures/runs`.
fn says_what_the_record_says(run: &str, seen: &Value) {
    let said = seen["said"].as_str().unwrap();
    let bars: Vec<&str> = seen["bars"].as_array().unwrap().iter().map(|bar| bar["label"].as_str().unwrap()).collect();
    if run == RUNS[0] {
        assert_eq!(strings(&seen["heading"]), ["homelab: ROLLED BACK"]);
        assert_eq!(strings(&seen["hosts"][0])[..3], ["vps", "rolled back", "41"]);
        for text in ["units failed: wireguard-wg0.service", "no answer from 10.100.0.2 within 2 s", "1 of 3 links up"] {
            assert!(said.contains(text), "{text}: {said}");
        }
        assert_eq!(bars.len(), 3, "{bars:?}");
        assert!(bars[1].starts_with("vps: ") && bars[1].contains("roll back"), "{bars:?}");
    } else {
        assert_eq!(strings(&seen["heading"]), ["homelab: COMMITTED"]);
        assert!(strings(&seen["sections"]).contains(&"Where the time went"), "{seen}");
    }
}
