//! The phone's registration: one REGISTER, one challenge. Long enough for a demo; it is not refreshed.

use super::{Line, REGISTRATION, Report};
use crate::cx::Cx;
use crate::id::{Flow, Owner};
use crate::sip::{Draft, Method, Name, Uri};
use crate::transaction::{Destination, Event};

const OWNER: Owner = Owner::Phone(REGISTRATION);

#[derive(Debug, Default)]
pub(super) struct Registration {
    request: Option<Draft>,
    challenged: bool,
}

impl Line {
    pub(super) fn register(&mut self, cx: &mut Cx<'_>) {
        self.registration = Registration::default();
        self.layer
            .reach(cx, OWNER, Destination::Uri(self.settings.proxy.clone()));
    }

    pub(super) fn registration_event(&mut self, cx: &mut Cx<'_>, event: Event) {
        match event {
            Event::Reached { flow, .. } => {
                let request = self.register_request(cx, flow);
                self.registration.request = Some(request.clone());
                self.layer.request(cx, OWNER, flow, request);
            }
            Event::Response { flow, response, .. } => match response.status() {
                100..=199 => {}
                200..=299 => self.reports.push_back(Report::Registered),
                401 | 407 if !self.registration.challenged => {
                    self.registration.challenged = true;
                    let again = self.registration.request.take();
                    match again.and_then(|request| self.authorised(cx, &request, &response)) {
                        Some(request) => {
                            self.layer.request(cx, OWNER, flow, request);
                        }
                        None => self.reports.push_back(Report::NotRegistered(response.status())),
                    }
                }
                status => self.reports.push_back(Report::NotRegistered(status)),
            },
            Event::Unreachable { .. } | Event::Failed { .. } => self.reports.push_back(Report::NotRegistered(0)),
            Event::Request { .. } | Event::Cancelled { .. } | Event::Ack { .. } | Event::ServerGone { .. } => {}
        }
    }

    fn register_request(&self, cx: &mut Cx<'_>, flow: Flow) -> Draft {
        let domain = Uri {
            user: None,
            ..self.settings.identity.clone()
        };
        let mut draft = self.first_request(cx, Method::Register, domain, &self.settings.identity);
        draft.push(Name::Contact, self.contact(cx, flow));
        draft.push(Name::Expires, 3600);
        draft
    }
}
