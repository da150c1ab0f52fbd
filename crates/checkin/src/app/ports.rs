//! The services and their ports: which routes stand behind which session layer and middleware stack.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::{Extension, Router};
use futures_util::FutureExt as _;
use prometheus_client::registry::Registry;
use tower_express_session::SessionLayer;
use utoipa_axum::router::OpenApiRouter;

use super::diagnosis::diagnose_within;
use super::{App, Sessions};
use crate::config::Common;
use crate::http::{ClientLimits, Metrics, OnFailure, Probes, Readiness, Scrape, Stack};
use crate::passwords::Passwords;
use crate::services::api::{ApiSettings, Stores};
use crate::services::console::Tiles;
use crate::services::processor::Progress;
use crate::services::receiver::{Identity, ReceiverSettings};
use crate::services::{api, auth, console, operations, receiver};
use crate::traces::Traces;
use crate::usecases::accounts::{Accounts, account_options};
use crate::usecases::demo_account::DemoAccount;

/// The maximum time of a diagnosis for operators, below that of a request.
const DOCTOR_TIME: Duration = Duration::from_secs(10);

/// The routes of a service and its session layer. A service may be served on several ports, which
/// then share its limits and caches.
pub struct Service {
    routes: OpenApiRouter,
    sessions: Option<Sessions>,
}

impl Service {
    /// Returns the routes, which refuse requests until the store is `ready`, behind their session
    /// layer, which counts session events, and that layer.
    fn counted_by(
        &self,
        metrics: &Metrics,
        ready: &Readiness,
        limits: &ClientLimits,
    ) -> (OpenApiRouter, Option<SessionLayer<OnFailure>>) {
        let (routes, metrics, ready) = (self.routes.clone(), metrics.clone(), ready.clone());
        let limits = limits.clone();
        let Some(sessions) = self.sessions.clone() else { return (routes.layer(ready), None) };
        let sessions = sessions.on_event(move |event| metrics.count_session_event(event));
        let layer = sessions.build().expect("the options were checked when the store was opened");
        // One call for all: each puts the route into another box.
        (routes.layer((ready, layer.clone(), limits)), Some(layer))
    }
}

impl Service {
    /// Returns the routes of a port whose walk-through has this account.
    fn shared_by_visitors(&self, demo: Option<Arc<DemoAccount>>) -> Self {
        let (routes, sessions) = (self.routes.clone(), self.sessions.clone());
        match demo {
            Some(demo) => Self { routes: routes.layer(Extension(demo)), sessions },
            None => Self { routes, sessions },
        }
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

impl App {
    /// Returns the routes of the services, each behind its session layer.
    fn routes(
        &self,
        metrics: &Metrics,
        services: &[&Service],
        first: OpenApiRouter,
    ) -> OpenApiRouter {
        services.iter().fold(first, |routes, service| {
            let (added, layer) = service.counted_by(metrics, &self.readiness, &self.edge.limits);
            self.layers().extend(layer);
            routes.merge(added)
        })
    }

    /// Returns the authentication service.
    pub fn auth(&self, settings: auth::AuthSettings) -> Service {
        let throttled = self.metrics.throttled.clone();
        let parts = auth::Parts {
            users: self.storage.clone(),
            privacy: self.storage.clone(),
            attempts: self.storage.clone(),
            second_factors: self.storage.clone(),
            pending_steps: self.storage.clone(),
            account_sessions: self.account_sessions.clone(),
            revocation: self.revocation.clone(),
            secrets: self.secrets.clone(),
            passwords: Passwords::counting(throttled.busy.clone()),
            tasks: self.tasks.clone(),
            throttled,
            security: self.security_log("auth"),
        };
        let max_sessions = settings.max_sessions;
        let routes = auth::router(parts, settings);
        // Only this service opens sessions, so only here their number is limited.
        let sessions = match max_sessions {
            Some(max) => {
                self.sessions.clone().account_sessions(account_options().max_sessions(max))
            }
            None => self.sessions.clone(),
        };
        Service { routes, sessions: Some(sessions) }
    }

    /// Returns the read API. Its streams end when `stop` does.
    pub fn api(
        &self,
        settings: ApiSettings,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Service {
        let stores = Stores {
            users: self.storage.clone(),
            locations: self.storage.clone(),
            directory: self.storage.clone(),
            history: self.storage.clone(),
            log: self.storage.clone(),
            privacy: self.storage.clone(),
            weather: self.storage.clone(),
        };
        let accounts = Accounts::new(self.storage.clone(), self.lease);
        let limits = self.edge.limits.clone();
        let routes = api::router(stores, accounts, settings, stop, &self.metrics, limits);
        Service { routes, sessions: Some(self.cached_sessions.clone()) }
    }

    /// Returns the check-in receiver. Without `sessions`, it accepts check-ins from everybody.
    pub fn receiver(&self, sessions: bool, settings: ReceiverSettings) -> Service {
        let identity = match sessions {
            true => Identity::Session(Accounts::new(self.storage.clone(), self.lease)),
            false => Identity::None,
        };
        let parts = receiver::Parts {
            log: self.storage.clone(),
            retractions: self.storage.clone(),
            locations: self.storage.clone(),
            users: self.storage.clone(),
            identity,
            throttled: self.metrics.throttled.clone(),
            slow_store: self.slow_store.clone(),
        };
        let routes = receiver::router(parts, settings);
        Service { routes, sessions: sessions.then(|| self.cached_sessions.clone()) }
    }

    /// Returns the routes for operators.
    pub fn operations(&self, config: &Common) -> Service {
        let (storage, ports, config) = (self.storage.clone(), self.ports.clone(), config.clone());
        let diagnose = {
            let storage = storage.clone();
            move || diagnose_within(config.clone(), storage.clone(), DOCTOR_TIME).boxed()
        };
        let parts = operations::Parts {
            storage,
            sessions: self.session_store.clone(),
            metrics: self.metrics.clone(),
            // Only a list, which is valid after any step.
            ports: Arc::new(move || ports.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            diagnose: Arc::new(diagnose),
            tasks: self.tasks.clone(),
        };
        Service { routes: operations::router(parts), sessions: Some(self.sessions.clone()) }
    }

    /// Returns the routes of the services on one port, whose metrics have this name.
    pub fn port(&self, name: &'static str, services: &[&Service]) -> Router {
        let stack = self.stack(Metrics::new(name));
        let routes = self.routes(&stack.metrics, services, OpenApiRouter::new());
        stack.around(routes)
    }

    /// Returns the routes of the console's port: those of the services, and the pages, which ask them. The maps of the
    /// pages have these `tiles`.
    pub fn console_port(
        &self,
        auth: &Service,
        others: &[&Service],
        tiles: Option<Tiles>,
    ) -> Router {
        let stack = self.stack(Metrics::new("console"));
        // Encrypted sessions are not shown to anybody.
        let demo = self.session_keys.is_none().then(|| Arc::new(self.demo_account()));
        let auth = auth.shared_by_visitors(demo.clone());
        let services = [&[&auth], others].concat();
        let routes = self.routes(&stack.metrics, &services, OpenApiRouter::new());
        let (services, _) = routes.clone().split_for_parts();
        let pages = console::router(services, demo, tiles).layer(self.readiness.clone());
        console::with_error_pages(stack.around(routes.merge(OpenApiRouter::from(pages))))
    }

    /// Returns the routes of a processor's port: only the probes and the metrics.
    pub fn processor_port(&self) -> Router {
        self.stack(Metrics::new("processor")).around(OpenApiRouter::new())
    }

    /// Returns the traces, if they are exported.
    #[must_use]
    pub fn traces(&self) -> Option<Traces> {
        self.traces.get().cloned()
    }

    /// Returns the metrics of the process's processor, which all ports show.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let progress = Progress::default();
        let mut registry =
            Registry::with_labels([("service".into(), "processor".into())].into_iter());
        progress.register(&mut registry);
        self.registries.add(registry);
        progress
    }

    /// Returns the routes of the port of `--metrics-listen`: the probes, and the metrics of all ports.
    /// Its own requests are not counted.
    pub fn metrics_port(&self) -> Router {
        let scrape = Scrape::All(self.registries.clone());
        let stack = Stack { scrape, ..self.uncounted(Metrics::new("metrics")) };
        stack.around(OpenApiRouter::new())
    }

    fn stack(&self, metrics: Metrics) -> Stack {
        let (own, registries) = (metrics.registry(), self.registries.clone());
        registries.add_port(own.clone());
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).push(metrics.clone());
        let scrape = match self.has_metrics_port {
            true => Scrape::None,
            false => Scrape::Port(own, registries),
        };
        let service = metrics.service();
        let service =
            self.process.get().is_none_or(|(command, _)| *command != service).then_some(service);
        Stack { scrape, service, ..self.uncounted(metrics) }
    }

    fn uncounted(&self, metrics: Metrics) -> Stack {
        let (health, readiness) = (self.storage.clone(), self.readiness.clone());
        let probes = Probes::new(health, readiness, self.draining.clone());
        let traces = self.traces.get().cloned();
        let scrape = Scrape::None;
        Stack { edge: self.edge.clone(), metrics, scrape, service: None, traces, probes }
    }
}
