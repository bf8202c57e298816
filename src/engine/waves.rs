//! Divides the hosts of a push into waves, once it is known which hosts change.

use super::inquiry::{Phased, refuse_if};
use super::push::Push;
use crate::decide::survey::Weight;
use crate::event::Event;
use crate::event::reason::refusal::Refusal;
use crate::facts::plan::{HostId, Plan};
use crate::inventory::model::{Host, HostName};

impl Push<'_> {
    pub(super) fn divide(&self, plan: &mut Plan) -> Phased<()> {
        let Self { request, .. } = self;
        let changing: Vec<HostId> = plan.changing().collect();
        let names: Vec<HostName> = changing.iter().map(|host| plan.host(*host).name.clone()).collect();
        let hosts: Vec<&Host> = request.scope.fleet.hosts.iter().filter(|host| names.contains(&host.name)).collect();
        let findings = request.waves.judge(&hosts);
        self.inquiry.tell_findings(&findings);
        refuse_if(findings.iter().any(|finding| finding.weight == Weight::Refusal), Refusal::WavesNotProvable)?;
        let waves = request.waves.divide(&names);
        for host in changing {
            let host = &mut plan.hosts[host.0];
            host.wave = waves.iter().position(|wave| wave.contains(&host.name)).unwrap_or(0);
        }
        if waves.len() > 1 {
            self.inquiry.tell(Event::WavesPlanned { waves });
        }
        Ok(())
    }
}
