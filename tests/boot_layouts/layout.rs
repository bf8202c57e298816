//! One row of the table: a tree, what the reader must say of it, and who else can judge it.

use crate::tree::Tree;

pub(crate) struct Layout {
    pub(crate) name: &'static str,
    pub(crate) tree: Tree,
    /// What the inventory says of the loader; `-` is nothing.
    pub(crate) told: &'static str,
    pub(crate) loader: &'static str,
    pub(crate) boots: Option<&'static str>,
    /// A part of what is said beside it; empty: nothing is said.
    pub(crate) note: &'static str,
    /// What the next boot alone brings, and its system where that can be known.
    pub(crate) next: Option<(&'static str, Option<&'static str>)>,
    pub(crate) judge: Judge,
}

pub(crate) enum Judge {
    /// `bootctl list` must see the same: with this ESP, and this XBOOTLDR partition beside it.
    Bootctl { esp: &'static str, extra: Option<&'static str> },
    /// It cannot: why.
    Nobody(&'static str),
}

impl Layout {
    pub(crate) fn new(name: &'static str, loader: &'static str, tree: Tree, boots: Option<&'static str>) -> Self {
        let judge = match loader {
            "systemd-boot" => Judge::Bootctl { esp: "boot", extra: None },
            _ => Judge::Nobody("bootctl reads the Boot Loader Specification only"),
        };
        Self { name, tree, told: "-", loader, boots, note: "", next: None, judge }
    }

    /// As the reader's answer is written here: `LOADER|BOOT_DEFAULT|NEXT_BOOT|NEXT_BOOT_SYSTEM`.
    pub(crate) fn expected(&self) -> String {
        let (next, next_system) = self.next.unwrap_or(("", None));
        format!("{}|{}|{next}|{}", self.loader, self.boots.unwrap_or_default(), next_system.unwrap_or_default())
    }

    pub(crate) fn told(mut self, told: &'static str) -> Self {
        self.told = told;
        self
    }

    pub(crate) fn saying(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }

    pub(crate) fn next(mut self, name: &'static str, system: Option<&'static str>) -> Self {
        self.next = Some((name, system));
        self
    }

    pub(crate) fn on(mut self, esp: &'static str, extra: Option<&'static str>) -> Self {
        self.judge = Judge::Bootctl { esp, extra };
        self
    }

    pub(crate) fn unjudged(mut self, why: &'static str) -> Self {
        self.judge = Judge::Nobody(why);
        self
    }
}
