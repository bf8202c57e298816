//! What the runner of a CI job reads from its log: mistakes of an inventory as annotations, which stand beside their
//! lines in what is to be merged, and nothing that others have said. Source: docs.github.com, "Workflow commands for
//! GitHub Actions", "Setting an error message".

use std::borrow::Cow;
use std::path::Path;

use crate::inventory::Problem;
use crate::ui::sanitise;

/// GitHub shows ten of a step.
const MOST: usize = 10;

/// Whether this runs in a job whose log is read for annotations.
#[must_use]
pub fn are_read() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|is| is == "true")
}

/// Lines for people as a job's log may have them: hosts, Nix and hooks have words in them, and none of these is a
/// command. The runner takes one from a line that begins with `::` behind blanks, and by `##[` from anywhere in a line.
/// Source: actions/runner, `ActionCommand.cs`.
#[must_use]
pub fn disarmed(text: &str) -> Cow<'_, str> {
    let begins = |line: &str| line.trim_start().starts_with("::");
    if !text.contains("##[") && !text.lines().any(begins) {
        return Cow::Borrowed(text);
    }
    let line = |line: &str| {
        let words = line.trim_start();
        let bar = if begins(line) { "| " } else { "" };
        format!("{}{bar}{words}", &line[..line.len() - words.len()])
    };
    Cow::Owned(text.split_inclusive('\n').map(line).collect::<String>().replace("##[", "# #["))
}

/// A line of JSON in which a job's runner finds no command; for a parser it is the same. It begins with a brace.
#[must_use]
pub fn disarmed_json(json: &str) -> String {
    // Outside of its strings JSON has no `#`.
    json.replace("##[", "#\\u0023[")
}

/// The lines for the job's log. `workspace`: the checked out tree, below which files are named.
#[must_use]
pub fn of_mistakes(problems: &[Problem], workspace: Option<&Path>) -> String {
    problems.iter().take(MOST).map(|problem| line(problem, workspace)).collect()
}

fn line(problem: &Problem, workspace: Option<&Path>) -> String {
    let file = std::path::absolute(&problem.file).unwrap_or_else(|_| problem.file.clone());
    let file = workspace.and_then(|workspace| file.strip_prefix(workspace).ok()).unwrap_or(&problem.file);
    let at = problem.at.map(|at| format!(",line={},col={}", at.line, at.column)).unwrap_or_default();
    let mend = problem.wrong.mend().map(|mend| format!("\nto mend it: {}", sanitise::line(&mend))).unwrap_or_default();
    let text = sanitise::line(&problem.what()) + &mend;
    let title = property(problem.wrong.code());
    format!("::error file={}{at},title={title}::{}\n", property(&sanitise::line(&file.to_string_lossy())), data(&text))
}

/// What stands behind the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What stands between the two.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::inventory::Inventory;

    #[test]
    fn what_others_say_is_no_command_of_a_job() {
        let said = "error: no\n  ::add-mask::e\n\u{2003}::stop-commands::t\nby| ###[error]x ##[add-mask]e\n";
        let shown = "error: no\n  | ::add-mask::e\n\u{2003}| ::stop-commands::t\nby| ## #[error]x # #[add-mask]e\n";
        assert_eq!(disarmed(said), shown);
        assert_eq!(disarmed(shown), shown);
        for harmless in ["", "\n", "fd00::1 is up\n  a # b [c] ## d", "[ 1.0s] vps ::x"] {
            assert_eq!(disarmed(harmless), harmless);
        }
        let text = serde_json::json!({"text": "a ##[add-mask]e \\##[ ###["});
        let line = disarmed_json(&text.to_string());
        assert!(!line.contains("##["), "{line}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), text);
    }

    #[test]
    fn each_mistake_stands_at_its_line_and_no_text_makes_another_command() {
        let text = "hosts: {vps: {adress: x}}\nfleets:\n  lab: {hosts: all, flake: ., \"a: b,c%\": 1}\n";
        let file = Path::new("/srv/fleet/in,ventory.yaml");
        let mistakes = Inventory::parse(file, Path::new("/srv/fleet"), text).unwrap_err();
        let shown = of_mistakes(&mistakes.problems, Some(Path::new("/srv")));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), mistakes.problems.len());
        assert!(lines[0].starts_with("::error file=fleet/in%2Cventory.yaml,line=1,col="), "{shown}");
        assert!(lines[0].contains(",title=unknown-key::") && lines[0].contains("adress"), "{shown}");
        assert!(lines[1].contains(",line=3,") && lines[1].contains("a: b,c%25"), "{shown}");
        let elsewhere = of_mistakes(&mistakes.problems, None);
        assert!(elsewhere.starts_with("::error file=/srv/fleet/in%2Cventory.yaml,"), "{elsewhere}");
        let many: Vec<Problem> = std::iter::repeat_n(mistakes.problems[0].clone(), 30).collect();
        assert_eq!(of_mistakes(&many, None).lines().count(), MOST);
    }
}
