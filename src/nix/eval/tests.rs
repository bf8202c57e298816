use tokio::sync::OnceCell;

use super::answers::Answers;
use super::question::{EvalQuestion, EvalRoot, LookWish};
use super::*;
use crate::event::reason::build::BuildFault;
use crate::facts::attr_path::AttrPath;
use crate::local::process::Finished;

fn question<'run>(template: &[&str], source: &'run Source, terms: &'run EvaluationTerms) -> EvalQuestion<'run> {
    EvalQuestion {
        root: EvalRoot::Flake { reference: ".".into(), folder: "/".into(), attribute: "nixosConfigurations".into() },
        template: template.iter().map(ToString::to_string).collect(),
        above: vec!["nixosConfigurations".into()],
        hosts: vec![HostName::new("vps").unwrap()],
        source,
        terms,
        root_ends: OnceCell::new(),
    }
}

fn flake() -> Source {
    Source::Flake { flake: ".".into(), attr: AttrPath::parse("{host}").unwrap() }
}

fn answered(json: &str) -> Result<BTreeMap<HostName, EvalTarget>, EvalError> {
    let (source, terms) = (flake(), EvaluationTerms::default());
    let question = question(&["{host}", "config", "toplevel"], &source, &terms);
    let finished = Finished { status: Some(0), signal: None, stdout: json.into(), stderr: Vec::new() };
    let mut answers = Answers::default();
    question.take(&question.hosts, &finished, &mut answers)?;
    answers.into_result()
}

#[test]
fn a_found_system_is_a_derivation_and_its_path() {
    let output = "/nix/store/sq08zfhisq0n6qah1nv8zvj4xr85icj4-nixos-system-vps-1";
    let derivation = "/nix/store/zl65qzggwjsc35lm1d10vgcnjc2l8nnh-nixos-system-vps-1.drv";
    let found = answered(&format!(r#"[{{"found":{{"derivation":"{derivation}","output":"{output}"}}}}]"#)).unwrap();
    assert_eq!(found.values().next().unwrap().output().as_str(), output);
}

#[test]
fn a_missing_attribute_is_named_with_what_is_there() {
    let error = answered(r#"[{"missing":{"left":3,"has":["home","edge"]}}]"#).unwrap_err();
    let EvalError::Hosts { failed, .. } = error else { panic!("{error}") };
    assert_eq!(
        BuildFault::from(failed.values().next().unwrap()).to_string(),
        "the flake . has no `nixosConfigurations.vps`; `nixosConfigurations` has: home, edge"
    );
    let error = answered(r#"[{"missing":{"left":1,"has":[]}}]"#).unwrap_err();
    let EvalError::Hosts { failed, .. } = error else { panic!("{error}") };
    assert_eq!(
        BuildFault::from(failed.values().next().unwrap()).to_string(),
        "the flake . has no `nixosConfigurations.vps.config.toplevel`; `nixosConfigurations.vps.config` has nothing"
    );
}

#[test]
fn a_path_that_is_only_a_placeholder_is_refused() {
    let json = r#"[{"found":{"derivation":"/nix/store/zl65qzggwjsc35lm1d10vgcnjc2l8nnh-x.drv","output":"/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"}}]"#;
    let EvalError::Hosts { failed, .. } = answered(json).unwrap_err() else { panic!() };
    assert!(matches!(failed.values().next(), Some(HostProblem::NoPath(_))));
}

#[test]
fn an_answer_of_another_shape_is_refused() {
    for json in ["", "{}", "[]", r#"[{"found":{}}]"#, r#"[{"new":1}]"#] {
        assert!(matches!(answered(json), Err(EvalError::Answer { .. })), "{json}");
    }
}

#[test]
fn names_stand_in_the_expression_as_strings_only() {
    let (source, terms) = (flake(), EvaluationTerms::default());
    let question = question(&["{host}", "a\"b${c}"], &source, &terms);
    let expression = question.expression(&question.hosts, LookWish::Looked);
    assert!(expression.starts_with(r#"let template = [ "{host}" "a\"b\${c}" ]; hosts = [ "vps" ];"#), "{expression}");
}

#[test]
fn a_flake_that_would_be_an_option_or_an_attribute_is_refused() {
    for flake in ["", "--impure", ".#x", "a\nb"] {
        assert!(matches!(ensure_flake_reference(flake), Err(EvalError::Flake(_))), "{flake}");
    }
    for flake in [".", "..", "/etc/nixos", "git+ssh://git@example.org/x?ref=main", "path:./x"] {
        assert!(ensure_flake_reference(flake).is_ok(), "{flake}");
    }
}
