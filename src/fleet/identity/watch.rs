//! Looks at the files of the identity, since whoever renews certificates seldom tells the program.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::credentials::Identity;
use super::material::Material;

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(2);

impl Identity {
    /// Looks at the files until told to stop.
    pub async fn watch(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let this = self.clone();
            // A file system may be slow.
            if let Err(error) = tokio::task::spawn_blocking(move || this.look()).await {
                tracing::error!(%error, "fleet: looking at the certificates failed");
            }
        }
    }

    /// Takes up the files if they have changed. What cannot be used leaves the old in force; that is
    /// said once, and only when the files stay so: they are written one by one.
    pub fn look(&self) {
        let mut looks = self.looks();
        let now = self.clock.wall().unix(self.clock.now());
        if let Some(trouble) = self.in_force.load().material.trouble_at(now)
            && looks.told != Some(now / 86_400)
        {
            looks.told = Some(now / 86_400);
            tracing::warn!(
                "fleet: the certificate of node `{}` {trouble}; renew it with `tradewind fleet \
                 issue {}`",
                self.node,
                self.node
            );
        }
        let stamp = self.files.stamp();
        if stamp == self.in_force.load().material.stamp || Some(stamp) == looks.refused {
            return;
        }
        let read = Material::read(&self.files, &self.cluster, &self.node, self.roles)
            .map_err(|e| e.text)
            .and_then(|material| {
                let is_new = material.digest != self.in_force.load().material.digest;
                let (serial, until) = (material.claims.serial.clone(), material.claims.not_after);
                let authorities = material.anchors.0.len();
                self.adopt(material)?;
                if is_new {
                    tracing::info!(
                        serial,
                        not_after = until,
                        authorities,
                        "fleet: new certificates for new connections"
                    );
                }
                Ok(())
            });
        match read {
            Ok(()) => (looks.unsettled, looks.refused, looks.told) = (None, None, None),
            Err(_) if looks.unsettled != Some(stamp) => looks.unsettled = Some(stamp),
            Err(text) => {
                tracing::error!("fleet: the certificates in force stay: {text}");
                looks.refused = Some(stamp);
            }
        }
    }
}
