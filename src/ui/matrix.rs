//! The matrix of links: a table from rows to columns, or a list where a table would be too wide; below it every link
//! that is not up, with its reason.

use std::collections::HashMap;

use crate::event::Cell;
use crate::event::wording::words;
use crate::facts::links::LinkAnswer;
use crate::inventory::model::Place;
use crate::ui::paint::{Tone, paint};
use crate::ui::sanitise;

/// Columns of a terminal that every reader has.
pub const WIDTH: usize = 80;

/// The kinds of the table: links of these lead to an address. The other kinds have a name, a URL or a query there.
const KINDS_OF_THE_TABLE: [&str; 4] = ["ping", "ssh", "tcp", "wireguard"];

/// The mark before a link that is not simply up, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Up,
    /// Down before, up now.
    Mended,
    /// Down, and it was up before.
    NewlyDown,
    /// Down, as it was before.
    StillDown,
    /// Down, and there is no before.
    Down,
    Unknown,
    /// Whatever it says.
    NotCounted,
}

impl Mark {
    fn of(cell: &Cell) -> Self {
        match (&cell.answer, cell.was_up) {
            _ if cell.left_out => Self::NotCounted,
            (LinkAnswer::Up { .. }, Some(false)) => Self::Mended,
            (LinkAnswer::Up { .. }, _) => Self::Up,
            (LinkAnswer::Down { .. }, Some(true)) => Self::NewlyDown,
            (LinkAnswer::Down { .. }, Some(false)) => Self::StillDown,
            (LinkAnswer::Down { .. }, None) => Self::Down,
            (LinkAnswer::Unknown, _) => Self::Unknown,
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Up => "",
            Self::Mended => "+",
            Self::NewlyDown => "!",
            Self::StillDown => "-",
            Self::Down => "x",
            Self::Unknown => "?",
            Self::NotCounted => "~",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Mended => "up again, was down before",
            Self::NewlyDown => "newly down",
            Self::StillDown => "down, was down before",
            Self::Down => "down",
            Self::Unknown => "unknown: the place it is probed from did not answer",
            Self::NotCounted => "not counted: it ends at a host that is left out",
        }
    }

    fn tone(self) -> Option<Tone> {
        match self {
            Self::Up => None,
            Self::Mended => Some(Tone::Good),
            Self::StillDown | Self::Unknown => Some(Tone::Doubtful),
            Self::NotCounted => Some(Tone::Faint),
            Self::NewlyDown | Self::Down => Some(Tone::Bad),
        }
    }
}

/// A link as a page shows it: what stands in its cell, and what that means.
pub(super) struct ShownLink {
    pub(super) text: String,
    /// What stands before a link that is not simply up.
    pub(super) sign: &'static str,
    pub(super) meaning: &'static str,
    pub(super) tone: Option<Tone>,
}

/// The links that have a place in a table, and those below it.
pub(super) struct ShownMatrix {
    pub(super) columns: Vec<String>,
    /// By row, with the links of each column.
    pub(super) rows: Vec<(String, Vec<Vec<ShownLink>>)>,
    /// Where from, what, and how it stands.
    pub(super) others: Vec<(String, String, ShownLink)>,
    /// Each link that is not simply up, the worst first.
    pub(super) reasons: String,
}

pub(super) fn shown(cells: &[Cell]) -> ShownMatrix {
    let (ends, others) = divided(cells);
    let show = |token: Token| ShownLink {
        sign: token.mark.sign(),
        meaning: token.mark.meaning(),
        tone: token.mark.tone(),
        text: token.text,
    };
    let grid = Grid::of(&ends);
    let row = |tokens: Vec<Vec<Token>>| tokens.into_iter().map(|links| links.into_iter().map(show).collect()).collect();
    ShownMatrix {
        columns: grid.columns,
        rows: grid.rows.into_iter().zip(grid.tokens.into_iter().map(row)).collect(),
        others: others.into_iter().map(|cell| (from_word(&cell.from), other(cell), show(token(cell)))).collect(),
        reasons: reasons(cells, false),
    }
}

fn divided(cells: &[Cell]) -> (Vec<&Cell>, Vec<&Cell>) {
    cells.iter().partition(|cell| KINDS_OF_THE_TABLE.contains(&cell.kind.as_str()))
}

/// What a link that leads to no address asks, by its name.
fn other(cell: &Cell) -> String {
    let (to, name) = (sanitise::line(&cell.to), sanitise::line(&cell.check));
    if name == to { to } else { format!("{name}: {to}") }
}

/// Draws the cells within `width` columns; every line ends in a line end. Nothing for no cells.
#[must_use]
pub fn render(cells: &[Cell], width: usize, colour: bool) -> String {
    let (ends, others) = divided(cells);
    let mut out = String::new();
    if !ends.is_empty() {
        let grid = Grid::of(&ends);
        out += &grid.table(width, colour).unwrap_or_else(|| grid.list(width, colour));
    }
    for cell in others {
        out += &format!("{}: {} ({})\n", from_word(&cell.from), token(cell).painted(colour), other(cell));
    }
    out + &reasons(cells, colour)
}

/// `4 of 6 links up`, with what is not required counted apart.
#[must_use]
pub fn count(cells: &[Cell]) -> String {
    let counted = |required| cells.iter().filter(move |cell| !cell.left_out && cell.required == required);
    let up = |required| counted(required).filter(|cell| cell.answer.is_up()).count();
    let of = |required| counted(required).count();
    let links = |number| if number == 1 { "link" } else { "links" };
    match (of(true), of(false)) {
        (0, 0) => "no links".to_owned(),
        (required, 0) => format!("{} of {required} {} up", up(true), links(required)),
        (0, optional) => format!("{} of {optional} optional {} up", up(false), links(optional)),
        (required, optional) => {
            format!("{} of {required} required and {} of {optional} optional links up", up(true), up(false))
        }
    }
}

/// One link in a cell: a round trip or a kind, behind its mark.
struct Token {
    text: String,
    mark: Mark,
}

impl Token {
    fn painted(&self, colour: bool) -> String {
        self.mark.tone().map_or_else(|| self.text.clone(), |tone| paint(colour, tone, &self.text))
    }
}

fn token(cell: &Cell) -> Token {
    let mark = Mark::of(cell);
    let text = match &cell.answer {
        LinkAnswer::Up { round_trip_us: Some(round_trip) } if cell.kind == "ping" => words::round_trip(*round_trip),
        _ => sanitise::line(&cell.kind),
    };
    Token { text: format!("{}{text}", mark.sign()), mark }
}

fn from_word(place: &Place) -> String {
    match place {
        Place::Workstation => "workstation".to_owned(),
        Place::Host(name) => name.to_string(),
    }
}

/// The links between places and addresses, by row and column, in the order in which they came.
struct Grid {
    rows: Vec<String>,
    columns: Vec<String>,
    /// By row, then by column.
    tokens: Vec<Vec<Vec<Token>>>,
}

impl Grid {
    fn of(cells: &[&Cell]) -> Self {
        let mut rows: Vec<String> = Vec::new();
        let mut columns: Vec<String> = Vec::new();
        let mut known: [HashMap<String, usize>; 2] = [HashMap::new(), HashMap::new()];
        let place = |known: &mut HashMap<String, usize>, names: &mut Vec<String>, name: String| {
            known.get(&name).copied().unwrap_or_else(|| {
                names.push(name.clone());
                known.insert(name, names.len() - 1);
                names.len() - 1
            })
        };
        let placed: Vec<(usize, usize, Token)> = cells
            .iter()
            .map(|cell| {
                let row = place(&mut known[0], &mut rows, from_word(&cell.from));
                (row, place(&mut known[1], &mut columns, sanitise::line(&cell.to)), token(cell))
            })
            .collect();
        // In a mesh the first host's own column comes last by order of links; a reader expects the rows' order.
        let mut order: Vec<usize> = (0..columns.len()).collect();
        order.sort_by_key(|column| known[0].get(&columns[*column]).copied().unwrap_or(usize::MAX));
        let mut rank = vec![0; order.len()];
        for (position, column) in order.iter().enumerate() {
            rank[*column] = position;
        }
        let mut tokens: Vec<Vec<Vec<Token>>> =
            rows.iter().map(|_| columns.iter().map(|_| Vec::new()).collect()).collect();
        for (row, column, token) in placed {
            tokens[row][rank[column]].push(token);
        }
        let columns = order.iter().map(|column| columns[*column].clone()).collect();
        Self { rows, columns, tokens }
    }

    /// `None` if it is wider than `width`.
    fn table(&self, width: usize, colour: bool) -> Option<String> {
        const CORNER: &str = "from \\ to";
        let first = self.rows.iter().map(|row| chars(row)).chain([CORNER.len()]).max()?;
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                let cells = self.tokens.iter().map(|row| tokens_width(&row[column]));
                cells.chain([chars(&self.columns[column])]).max().unwrap_or(1)
            })
            .collect();
        if first + widths.iter().map(|width| width + 2).sum::<usize>() > width {
            return None;
        }
        let mut heading = format!("{CORNER:<first$}");
        for (column, width) in self.columns.iter().zip(&widths) {
            heading += &format!("  {column:<width$}");
        }
        let mut out = paint(colour, Tone::Strong, heading.trim_end()) + "\n";
        for (row, cells) in self.rows.iter().zip(&self.tokens) {
            let mut text = format!("{row:<first$}");
            let mut gap = 0;
            for (tokens, width) in cells.iter().zip(&widths) {
                text += &format!("{:gap$}  ", "");
                let (cell, taken) = if tokens.is_empty() {
                    (".".to_owned(), 1)
                } else {
                    (painted(tokens, colour), tokens_width(tokens))
                };
                text += &cell;
                gap = width - taken;
            }
            out += &text;
            out += "\n";
        }
        Some(out)
    }

    /// One paragraph for each row: `vps: homeserver 12ms ssh, nas 2.1ms ssh`.
    fn list(&self, width: usize, colour: bool) -> String {
        let mut out = String::new();
        for (row, cells) in self.rows.iter().zip(&self.tokens) {
            let mut at = chars(row) + 1;
            out += &format!("{row}:");
            let filled: Vec<_> = self.columns.iter().zip(cells).filter(|(_, tokens)| !tokens.is_empty()).collect();
            for (number, (column, tokens)) in filled.iter().enumerate() {
                let comma = if number + 1 < filled.len() { "," } else { "" };
                let length = chars(column) + 1 + tokens_width(tokens) + comma.len();
                if at + 1 + length > width {
                    out += "\n   ";
                    at = 3;
                }
                out += &format!(" {column} {}{comma}", painted(tokens, colour));
                at += 1 + length;
            }
            out += "\n";
        }
        out
    }
}

fn painted(tokens: &[Token], colour: bool) -> String {
    tokens.iter().map(|token| token.painted(colour)).collect::<Vec<_>>().join(" ")
}

fn tokens_width(tokens: &[Token]) -> usize {
    (tokens.iter().map(|token| chars(&token.text) + 1).sum::<usize>()).max(2) - 1
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// Links from one place, with their ends and their kinds.
type AlikeLinks = (String, Vec<String>, Vec<String>);

/// What is said of links alike, once: those from one place to several, and of several kinds, in one line.
fn by_reason(cells: &[&Cell]) -> Vec<(String, Vec<AlikeLinks>)> {
    let tail = |cell: &Cell| {
        let why = match &cell.answer {
            LinkAnswer::Down { why } => format!(": {}", sanitise::line(why)),
            LinkAnswer::Up { .. } if cell.left_out => ": up".to_owned(),
            LinkAnswer::Up { .. } | LinkAnswer::Unknown => String::new(),
        };
        why + if cell.required || cell.left_out { "" } else { " (not required)" }
    };
    let mut reasons: Vec<(String, Vec<AlikeLinks>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut pairs: HashMap<(usize, String, String), usize> = HashMap::new();
    for cell in cells {
        let (from, to, kind) = (from_word(&cell.from), sanitise::line(&cell.to), sanitise::line(&cell.kind));
        let reason = *places.entry(tail(cell)).or_insert_with_key(|tail| {
            reasons.push((tail.clone(), Vec::new()));
            reasons.len() - 1
        });
        let links = &mut reasons[reason].1;
        let pair = *pairs.entry((reason, from, to)).or_insert_with_key(|(_, from, to)| {
            links.push((from.clone(), vec![to.clone()], Vec::new()));
            links.len() - 1
        });
        links[pair].2.push(kind);
    }
    for (_, links) in &mut reasons {
        let mut merged: Vec<AlikeLinks> = Vec::new();
        let mut alike: HashMap<(String, Vec<String>), usize> = HashMap::new();
        for (from, ends, kinds) in links.drain(..) {
            let place = *alike.entry((from, kinds)).or_insert_with_key(|(from, kinds)| {
                merged.push((from.clone(), Vec::new(), kinds.clone()));
                merged.len() - 1
            });
            merged[place].1.extend(ends);
        }
        *links = merged;
    }
    reasons
}

/// Says what each mark means and which links have it, the worst first.
fn reasons(cells: &[Cell], colour: bool) -> String {
    let mut out = String::new();
    for mark in [Mark::NewlyDown, Mark::Down, Mark::Unknown, Mark::StillDown, Mark::Mended, Mark::NotCounted] {
        let marked: Vec<&Cell> = cells.iter().filter(|cell| Mark::of(cell) == mark).collect();
        if marked.is_empty() {
            continue;
        }
        let heading = format!("{} {}:", mark.sign(), mark.meaning());
        out += &mark.tone().map_or_else(|| heading.clone(), |tone| paint(colour, tone, &heading));
        out += "\n";
        for (tail, links) in by_reason(&marked) {
            for (from, to, kinds) in links {
                out += &format!("  {from} -> {} {}{tail}\n", to.join(", "), kinds.join(", "));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::inventory::model::HostName;

    fn place(name: &str) -> Place {
        if name == "workstation" { Place::Workstation } else { Place::Host(HostName::new(name).unwrap()) }
    }

    fn cell(from: &str, to: &str, kind: &str, answer: LinkAnswer) -> Cell {
        Cell {
            check: "mesh".into(),
            from: place(from),
            to: to.into(),
            kind: kind.into(),
            required: true,
            answer,
            was_up: None,
            left_out: false,
        }
    }

    fn up(round_trip_us: u64) -> LinkAnswer {
        LinkAnswer::Up { round_trip_us: Some(round_trip_us) }
    }

    const UP: LinkAnswer = LinkAnswer::Up { round_trip_us: None };

    fn down(why: &str) -> LinkAnswer {
        LinkAnswer::Down { why: why.into() }
    }

    fn mesh(hosts: &[&str]) -> Vec<Cell> {
        let mut cells = Vec::new();
        for from in hosts {
            for to in hosts.iter().filter(|to| *to != from) {
                cells.push(cell(from, to, "ping", up(12_340)));
                cells.push(cell(from, to, "ssh", UP));
            }
        }
        cells
    }

    #[test]
    fn a_good_mesh_is_a_table_and_nothing_else() {
        assert_eq!(
            render(&mesh(&["vps", "homeserver", "nas"]), WIDTH, false),
            "\
from \\ to   vps       homeserver  nas
vps         .         12ms ssh    12ms ssh
homeserver  12ms ssh  .           12ms ssh
nas         12ms ssh  12ms ssh    .
"
        );
    }

    #[test]
    fn each_broken_link_has_its_mark_and_its_reason() {
        let mut cells = mesh(&["vps", "homeserver"]);
        cells[0] = Cell { was_up: Some(true), answer: down("no answer\u{1b}[2J"), ..cells[0].clone() };
        cells[1] = Cell { was_up: Some(false), answer: down("refused"), ..cells[1].clone() };
        cells[2] = Cell { was_up: Some(false), ..cells[2].clone() };
        cells[3] = Cell { was_up: Some(true), answer: LinkAnswer::Unknown, ..cells[3].clone() };
        cells.push(Cell {
            check: "the site answers".into(),
            required: false,
            ..cell("workstation", "http://vps:8080/health", "http", down("status 502"))
        });
        assert_eq!(
            render(&cells, WIDTH, false),
            "\
from \\ to   vps         homeserver
vps         .           !ping -ssh
homeserver  +12ms ?ssh  .
workstation: xhttp (the site answers: http://vps:8080/health)
! newly down:
  vps -> homeserver ping: no answer
x down:
  workstation -> http://vps:8080/health http: status 502 (not required)
? unknown: the place it is probed from did not answer:
  homeserver -> vps ssh
- down, was down before:
  vps -> homeserver ssh: refused
+ up again, was down before:
  homeserver -> vps ping
"
        );
        assert_eq!(count(&cells), "1 of 4 required and 0 of 1 optional links up");
    }

    #[test]
    fn six_hosts_fit_into_eighty_columns_and_more_become_a_list() {
        let six = render(&mesh(&["vps", "home", "nas", "web", "mail", "git"]), WIDTH, false);
        assert_eq!(six.lines().count(), 7);
        assert!(six.lines().all(|line| line.chars().count() <= WIDTH), "{six}");
        let eight = render(&mesh(&["vps", "home", "nas", "web", "mail", "git", "tv", "cam"]), WIDTH, false);
        assert!(eight.lines().all(|line| line.chars().count() <= WIDTH), "{eight}");
        assert!(
            eight.starts_with(
                "\
vps: home 12ms ssh, nas 12ms ssh, web 12ms ssh, mail 12ms ssh, git 12ms ssh,
    tv 12ms ssh, cam 12ms ssh
home: vps 12ms ssh,"
            ),
            "{eight}"
        );
    }

    #[test]
    fn colour_changes_no_letter() {
        let mut cells = mesh(&["vps", "homeserver"]);
        cells[1] = Cell { was_up: Some(true), answer: down("refused"), ..cells[1].clone() };
        let coloured = render(&cells, WIDTH, true);
        assert!(coloured.contains('\u{1b}'));
        assert_eq!(sanitise::text(&coloured), render(&cells, WIDTH, false));
    }

    #[test]
    fn no_links_are_no_table() {
        assert_eq!(render(&[], WIDTH, false), "");
        assert_eq!(count(&[]), "no links");
    }

    #[test]
    fn a_link_to_a_host_that_is_left_out_is_shown_and_not_counted() {
        let down = LinkAnswer::Down { why: "no answer".into() };
        let left_out = |answer| Cell { left_out: true, required: false, ..cell("vps", "web", "ping", answer) };
        let mut cells = vec![cell("vps", "home", "ping", up(900)), left_out(down)];
        assert_eq!(count(&cells), "1 of 1 link up");
        let text = render(&cells, WIDTH, false);
        assert!(text.contains("~ping") && !text.contains("xping"), "{text}");
        assert!(
            text.ends_with("~ not counted: it ends at a host that is left out:\n  vps -> web ping: no answer\n"),
            "{text}"
        );
        cells[1] = left_out(up(900));
        assert_eq!(count(&cells), "1 of 1 link up");
        assert!(render(&cells, WIDTH, false).ends_with("  vps -> web ping: up\n"));
    }
}
