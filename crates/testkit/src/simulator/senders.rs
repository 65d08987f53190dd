//! Senders: each repeats a delivery until it is answered. And the server's part of answering them.

use tagboat_model::{Digest, Event, ImageName, ImagePushed, RepositoryChange, RepositoryChanged, Tag, Trust};
use tagboat_ports::{NewDelivery, NewEvent};

use super::{
    faults::{Bug, Fault, Promise},
    world::{ACME, World, ZETA, image_name, key_of, main, tag, tenant_name},
};

/// A delivery on its way.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) key: String,
    pub(super) tenant: usize,
    event: Event,
    trust: Trust,
    not_before: i64,
}

/// What is on its way, and what was sent.
#[derive(Default)]
pub(super) struct Post {
    pub(super) in_flight: Vec<Letter>,
    /// Every delivery that was ever sent.
    pub(super) sent: usize,
}

impl World {
    fn send(&self, tenant: usize, event: Event, trust: Trust) {
        let late = if self.fault(Fault::DeliveryLate, 3) { self.milliseconds(60_000) } else { 0 };
        let letter =
            Letter { key: format!("delivery-{}", self.fresh()), tenant, event, trust, not_before: self.time() + late };
        let mut post = self.post();
        post.sent += 1;
        post.in_flight.push(letter);
    }

    /// The registry tells both tenants of a push. Now and then it cannot prove who it is.
    pub(super) fn tell_of_image(&self, image: &ImageName, tag: &Tag, digest: &Digest) {
        for tenant in [ACME, ZETA] {
            let trust = if self.chance(4) { Trust::Url } else { Trust::Token };
            let pushed = ImagePushed::new(image.clone(), tag.clone(), Some(digest.clone()));
            self.send(tenant, Event::ImagePushed(pushed), trust);
        }
    }

    /// A forge or a Git server tells that something changed.
    pub(super) fn tell_of_change(&self, tenant: usize, change: RepositoryChange, number: Option<u64>) {
        let changed = RepositoryChanged {
            addresses: Vec::new(),
            change,
            branch: Some(main()),
            commit: None,
            number,
            actor: Some("bob".to_owned()),
        };
        self.send(tenant, Event::RepositoryChanged(changed), Trust::Signed);
    }

    /// Somebody with a credential tells of what is not there, or names a digest that is not.
    pub(super) fn somebody_lies(&self) {
        let image = image_name(if self.chance(2) { "web" } else { "tool" });
        let false_digest = super::world::digest(&format!("false {}", self.fresh()));
        let tags = self.registry().tags_at(&image, self.time());
        let tag = if self.chance(2) { tag("1.999.0") } else { tags[self.random(tags.len())].clone() };
        self.registry().claims.insert((image.clone(), tag.clone()), false_digest.clone());
        self.note(|| format!("somebody says that {image}:{tag} is {}", false_digest.short()));
        self.tell_of_image(&image, &tag, &false_digest);
    }

    /// One delivery is tried. The sender forgets it only once it was answered.
    pub(super) fn a_sender_sends(&self) {
        let now = self.time();
        let letters: Vec<usize> = {
            let post = self.post();
            let due =
                post.in_flight.iter().enumerate().filter(|(_, letter)| letter.not_before <= now || !self.is_storm());
            due.map(|(index, _)| index).collect()
        };
        if letters.is_empty() {
            return;
        }
        let index = letters[self.random(letters.len())];
        let letter = self.post().in_flight[index].clone();
        if self.fault(Fault::DeliveryLost, 4) || !self.receive(&letter) {
            return;
        }
        self.note(|| format!("{} to {} is answered: {}", letter.key, tenant_name(letter.tenant), letter.event));
        self.check_accepted(&letter);
        // The answer may be lost; then the same delivery comes again.
        if !self.fault(Fault::DeliveryDoubled, 4) {
            self.post().in_flight.remove(index);
        }
    }

    /// What a server does with a delivery. Returns whether it is answered with yes.
    fn receive(&self, letter: &Letter) -> bool {
        if self.fault(Fault::StoreFails, 10) {
            return false;
        }
        if self.has_bug(Bug::AnswerBeforeStore) && self.fault(Fault::Crash, 10) {
            return true;
        }
        let number = self.fresh();
        let (mut looks, mut branches) = (Vec::new(), Vec::new());
        match &letter.event {
            Event::ImagePushed(pushed) if letter.trust == Trust::Url => looks.push(pushed.image.clone()),
            Event::RepositoryChanged(_) => branches.push(key_of(letter.tenant)),
            _ => {}
        }
        let urgent = matches!(&letter.event, Event::RepositoryChanged(changed) if changed.change.is_urgent());
        let event = NewEvent {
            id: format!("event-{number}").parse().unwrap(),
            looks,
            branches,
            urgent,
            event: letter.event.clone(),
            trust: letter.trust,
        };
        let tenant = match self.has_bug(Bug::SwapTenant) && self.chance(10) {
            true => ACME + ZETA - letter.tenant,
            false => letter.tenant,
        };
        let is_again = self.has_bug(Bug::ForgetDeduplication) && self.is_stored(tenant, &letter.key);
        let again = if is_again { format!("-{number}") } else { String::new() };
        self.store().accept_now(NewDelivery {
            id: format!("delivery-{number}").parse().unwrap(),
            tenant: tenant_name(tenant),
            receiver: "hook".parse().unwrap(),
            kind: "distribution".to_owned(),
            trust: letter.trust,
            key: format!("{}{again}", letter.key),
            once: None,
            acts_again: false,
            verdict: "accepted".to_owned(),
            reasons: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            body_hash: String::new(),
            received_at: self.wall(),
            events: vec![event],
        });
        !self.fault(Fault::StoreAnswerLost, 20)
    }

    fn is_stored(&self, tenant: usize, key: &str) -> bool {
        let key = (tenant_name(tenant), "hook".parse().unwrap(), format!("key {key}"));
        self.store().look(|tables| tables.keys.contains_key(&key))
    }

    /// I1, I2, I5 at the door: what was answered is stored, once, for its tenant.
    fn check_accepted(&self, letter: &Letter) {
        let tenant = tenant_name(letter.tenant);
        let (sent, stored) = (self.post().sent, self.store().look(|tables| tables.deliveries.len()));
        if self.is_stored(ACME + ZETA - letter.tenant, &letter.key) {
            self.broke(Promise::TenantsStayApart, || format!("{} for {tenant} is stored for another", letter.key));
        } else if stored > sent {
            self.broke(Promise::NothingIsDoneTwice, || {
                format!("{stored} deliveries are stored, of {sent} that were sent")
            });
        } else if !self.is_stored(letter.tenant, &letter.key) {
            self.broke(Promise::NothingAcceptedIsLost, || format!("{} was answered and is not stored", letter.key));
        }
    }
}
