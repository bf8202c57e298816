//! Mistakes of an inventory as annotations of a CI job, which stand beside their lines in what is to be merged. Source:
//! docs.github.com, "Workflow commands for GitHub Actions", "Setting an error message".

use std::path::Path;

use crate::inventory::Problem;
use crate::ui::sanitise;

/// GitHub shows ten of a step.
const MOST: usize = 10;

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
    fn each_mistake_stands_at_its_line_and_no_text_makes_another_command() {
        let text = "hosts: {vps: {adress: x}}\nfleets:\n  lab: {hosts: all, flake: ., \"a: b,c%\": 1}\n";
        let file = Path::new("/work/fleet/in,ventory.yaml");
        let mistakes = Inventory::parse(file, Path::new("/work/fleet"), text).unwrap_err();
        let shown = of_mistakes(&mistakes.problems, Some(Path::new("/work")));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), mistakes.problems.len());
        assert!(lines[0].starts_with("::error file=fleet/in%2Cventory.yaml,line=1,col="), "{shown}");
        assert!(lines[0].contains(",title=unknown-key::") && lines[0].contains("adress"), "{shown}");
        assert!(lines[1].contains(",line=3,") && lines[1].contains("a: b,c%25"), "{shown}");
        let elsewhere = of_mistakes(&mistakes.problems, None);
        assert!(elsewhere.starts_with("::error file=/work/fleet/in%2Cventory.yaml,"), "{elsewhere}");
        let many: Vec<Problem> = std::iter::repeat_n(mistakes.problems[0].clone(), 30).collect();
        assert_eq!(of_mistakes(&many, None).lines().count(), MOST);
    }
}
