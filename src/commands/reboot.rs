use super::Ended;
use crate::cli::{Global, Reboot};
use crate::ui::mode::Mode;

pub(super) async fn run(_: &Global, _: Mode, _: &Reboot) -> Ended {
    unimplemented!()
}
