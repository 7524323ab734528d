//! Another configuration for a node that runs.

use super::Server;
use crate::config::{Changes, Config, Listen};
use crate::node::{Input, aor};
use crate::pii::Scrubbed;
use crate::shell::net::Keys;
use crate::shell::pace::Pace;
use crate::shell::store::Store;
use std::collections::HashSet;
use std::sync::Arc;
use tracing::{error, info, warn};

impl Server {
    /// Switches to a new configuration everywhere at once, or refuses it whole. What only a restart can change stays as it is.
    pub(super) fn reload(&mut self, mut config: Config) {
        let changes = Config::diff(&self.config, &config);
        // What is served until a restart needs a certificate until then.
        config.keep_doors(&self.config);
        // What is different in certificates is in their files, and not in the configuration.
        let keys = match self.keys(&config) {
            Ok(keys) => keys,
            Err(why) => return warn!("reload refused, nothing was changed: {why}"),
        };
        if changes.is_empty() {
            self.switch_files(&config, keys);
            self.relay.set(&self.config, self.net.keys());
            return info!("reloaded: nothing is different");
        }
        if let Err(why) = self.switch_listeners(&changes) {
            return warn!("reload refused, nothing was changed: {why}");
        }
        self.pace = Pace::new(self.clock.instant(), self.net.room());
        self.switch_files(&config, keys);
        config.node_name.clone_from(&self.config.node_name);
        config.store.clone_from(&self.config.store);
        config.media.keep(&self.config.media);
        config.log.json = self.config.log.json;
        for sentence in &changes.sentences {
            info!("reloaded: {sentence}");
        }
        if self.config.moves_media(&config) {
            let bound = self.net.bound();
            self.media.set_ports(&config.media, bound.iter().map(|l| l.addr));
        }
        if self.config.recording != config.recording {
            self.recordings.set(&config.recording);
        }
        self.relay.set(&config, self.net.keys());
        forget_strangers(&mut self.store, &config);
        crate::shell::set_level(&config.log);
        self.config = Arc::new(config);
        self.inputs.push_back(Input::Config(self.config.clone()));
    }

    /// Certificates as their files have them now; one that was made for this configuration is kept, and told of.
    fn keys(&self, config: &Config) -> Result<Keys, String> {
        let (keys, own) = Keys::load(config, &self.config.store.path, self.clock.now().wall)?;
        if let Some(own) = own {
            info!("{}", own.keep()?);
        }
        Ok(keys)
    }

    /// Opens and closes listeners; if one cannot be opened, all is as before.
    pub(super) fn switch_listeners(&mut self, changes: &Changes) -> Result<(), String> {
        let clashes = |removed: &&Listen| changes.listeners_added.iter().any(|added| added.clashes(removed));
        let (in_the_way, others): (Vec<&Listen>, Vec<&Listen>) = changes.listeners_removed.iter().partition(clashes);
        for listen in &in_the_way {
            self.unlisten(**listen);
        }
        for (opened, listen) in changes.listeners_added.iter().enumerate() {
            let Err(why) = self.net.listen(*listen) else { continue };
            for listen in &changes.listeners_added[..opened] {
                self.unlisten(*listen);
            }
            for listen in in_the_way {
                if let Err(why) = self.net.listen(*listen) {
                    error!("a listener that was closed for the reload cannot be opened again: {why}");
                }
            }
            return Err(why);
        }
        for listen in others {
            self.unlisten(*listen);
        }
        Ok(())
    }

    pub(super) fn unlisten(&mut self, listen: Listen) {
        self.runtime.block_on(self.net.unlisten(listen));
    }

    pub(super) fn warn_of_certificates(&self) {
        for sentence in self.net.expiring(self.clock.now().wall) {
            warn!("{sentence}");
        }
    }

    /// Certificates that were read again take the place of the old ones, and so do the servers for names: both may be different
    /// where the configuration is not.
    pub(super) fn switch_files(&mut self, config: &Config, keys: Keys) {
        self.net.set_keys(keys);
        self.warn_of_certificates();
        if let Some(complaint) = self.net.set_dns(&config.dns) {
            warn!("{complaint}");
        }
    }
}

/// Bindings of users that the configuration does not have (any more) are removed.
pub(super) fn forget_strangers(store: &mut Store, config: &Config) {
    let known: HashSet<_> = config.users.iter().map(aor).collect();
    for gone in store.retain(|aor| known.contains(aor)) {
        info!(
            "the bindings of {} are removed: the configuration has no such user",
            Scrubbed(&gone.0)
        );
    }
}
