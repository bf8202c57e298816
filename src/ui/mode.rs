//! How to draw, decided once from the flags and from what is known of the terminal.

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set or a CI job runs.
    #[default]
    Auto,
    Always,
    Never,
}

/// The options of the command line about the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    pub json: bool,
    pub quiet: bool,
    pub verbose: bool,
    pub colour: Colour,
}

/// The facts that stderr and the environment tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "five facts that have nothing to do with each other")]
pub struct Terminal {
    pub stderr_is_terminal: bool,
    /// `TERM=dumb`.
    pub dumb: bool,
    /// `CI` is set, not empty, and neither `0` nor `false`.
    pub ci: bool,
    /// `NO_COLOR` is set and not empty. Source: <https://no-color.org>.
    pub no_color: bool,
    /// The locale's characters are UTF-8: the first that is set of `LC_ALL`, `LC_CTYPE` and `LANG` says so. Source:
    /// POSIX, Base Definitions, 8.2.
    pub utf8: bool,
}

impl Terminal {
    /// Looks at stderr and at the environment, through `variable`.
    #[must_use]
    pub fn look(stderr_is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_lowercase();
        Self {
            stderr_is_terminal,
            utf8: locale.contains("utf-8") || locale.contains("utf8"),
            dumb: set("TERM").is_some_and(|term| term == "dumb"),
            ci: set("CI").is_some_and(|ci| ci != "0" && ci != "false"),
            no_color: set("NO_COLOR").is_some(),
        }
    }
}

/// How events are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A row for each host at the lower end of the terminal on stderr, lines worth keeping above.
    Live { colour: bool, verbose: bool, unicode: bool },
    /// One line per event on stderr; all of them and whole logs if `verbose`.
    Plain { colour: bool, verbose: bool },
    /// JSON lines on stdout, nothing on stderr.
    Json,
    /// Warnings, failures, and the end if it is not a good one, on stderr.
    Quiet { colour: bool },
}

/// Chooses the mode.
///
/// | `--json` | `-q` | terminal | `TERM=dumb` or `CI` | mode |
/// |---|---|---|---|---|
/// | yes | any | any | any | `Json` |
/// | no | yes | any | any | `Quiet` |
/// | no | no | yes | none | `Live` |
/// | no | no | yes | any | `Plain` |
/// | no | no | no | any | `Plain` |
///
/// | `--color` | terminal | `TERM=dumb`, `CI` or `NO_COLOR` | colour |
/// |---|---|---|---|
/// | `always` | any | any | yes |
/// | `never` | any | any | no |
/// | `auto` | yes | none of them | yes |
/// | `auto` | yes | any of them | no |
/// | `auto` | no | any | no |
#[must_use]
pub fn choose(flags: Flags, terminal: Terminal) -> Mode {
    let colour = choose_colour(flags.colour, terminal);
    match flags {
        Flags { json: true, .. } => Mode::Json,
        Flags { quiet: true, .. } => Mode::Quiet { colour },
        Flags { verbose, .. } if terminal.stderr_is_terminal && !terminal.dumb && !terminal.ci => {
            Mode::Live { colour, verbose, unicode: terminal.utf8 }
        }
        Flags { verbose, .. } => Mode::Plain { colour, verbose },
    }
}

/// Whether stderr gets colour: the second table of [`choose`].
#[must_use]
pub fn choose_colour(colour: Colour, terminal: Terminal) -> bool {
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => terminal.stderr_is_terminal && !terminal.dumb && !terminal.ci && !terminal.no_color,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    const TERMINAL: Terminal =
        Terminal { stderr_is_terminal: true, dumb: false, ci: false, no_color: false, utf8: false };

    #[test]
    fn flags_choose_the_mode() {
        let plain = Flags::default();
        let json = Flags { json: true, quiet: true, verbose: true, ..plain };
        let quiet = Flags { quiet: true, ..plain };
        let verbose = Flags { verbose: true, ..plain };
        assert_eq!(choose(json, TERMINAL), Mode::Json);
        assert_eq!(choose(quiet, TERMINAL), Mode::Quiet { colour: true });
        let live = Mode::Live { colour: true, verbose: false, unicode: false };
        assert_eq!(choose(plain, TERMINAL), live);
        let unicode = Mode::Live { colour: false, verbose: true, unicode: true };
        assert_eq!(choose(verbose, Terminal { utf8: true, no_color: true, ..TERMINAL }), unicode);
        for not_live in [Terminal { dumb: true, ..TERMINAL }, Terminal { ci: true, ..TERMINAL }] {
            assert_eq!(choose(plain, not_live), Mode::Plain { colour: false, verbose: false });
        }
        assert_eq!(choose(verbose, Terminal::default()), Mode::Plain { colour: false, verbose: true });
    }

    #[test]
    fn colour_follows_the_table() {
        let pipe = Terminal { stderr_is_terminal: false, ..TERMINAL };
        let dumb = Terminal { dumb: true, ..TERMINAL };
        let ci = Terminal { ci: true, ..TERMINAL };
        let no_color = Terminal { no_color: true, ..TERMINAL };
        let all = [TERMINAL, pipe, dumb, ci, no_color];
        assert_eq!(all.map(|terminal| choose_colour(Colour::Always, terminal)), [true; 5]);
        assert_eq!(all.map(|terminal| choose_colour(Colour::Never, terminal)), [false; 5]);
        assert_eq!(all.map(|terminal| choose_colour(Colour::Auto, terminal)), [true, false, false, false, false]);
    }

    #[test]
    fn empty_variables_are_not_set() {
        let look = |pairs: &'static [(&str, &str)]| {
            Terminal::look(true, |name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(look(&[]), TERMINAL);
        assert_eq!(look(&[("CI", ""), ("NO_COLOR", ""), ("TERM", "xterm")]), TERMINAL);
        assert_eq!(look(&[("CI", "false")]), TERMINAL);
        assert_eq!(look(&[("CI", "true")]), Terminal { ci: true, ..TERMINAL });
        assert_eq!(look(&[("NO_COLOR", "1")]), Terminal { no_color: true, ..TERMINAL });
        assert_eq!(look(&[("TERM", "dumb")]), Terminal { dumb: true, ..TERMINAL });
    }

    #[test]
    fn the_first_locale_that_is_set_says_whether_it_is_utf8() {
        for (pairs, utf8) in [
            (&[("LANG", "en_US.UTF-8")][..], true),
            (&[("LANG", "C.utf8")], true),
            (&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")], false),
            (&[("LC_ALL", ""), ("LC_CTYPE", "de_DE.UTF-8"), ("LANG", "C")], true),
            (&[("LANG", "de_DE.ISO-8859-1")], false),
        ] {
            let variable =
                |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(Terminal::look(true, variable).utf8, utf8, "{pairs:?}");
        }
    }
}
