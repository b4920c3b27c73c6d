//! The files of the console, as they are served.

/// A file.
pub(super) struct File {
    /// Below `/ui/`.
    pub(super) path: &'static str,
    /// Its media type.
    pub(super) kind: &'static str,
    /// What it holds.
    pub(super) octets: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";
const DATA: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

macro_rules! files {
    ($($path:literal $kind:ident)*) => {
        &[$(File { path: $path, kind: $kind, octets: include_bytes!($path) }),*]
    };
}

/// Every file of the folder; a test compares.
pub(super) const FILES: &[File] = files! {
    "app.js" SCRIPT
    "icon.svg" IMAGE
    "index.html" HTML
    "routes.js" SCRIPT
    "theme.js" SCRIPT
    "css/figures.css" STYLE
    "css/layout.css" STYLE
    "css/parts.css" STYLE
    "css/tokens.css" STYLE
    "frame/head.js" SCRIPT
    "frame/login.js" SCRIPT
    "lib/act.js" SCRIPT
    "lib/api.js" SCRIPT
    "lib/chart.js" SCRIPT
    "lib/dom.js" SCRIPT
    "lib/format.js" SCRIPT
    "lib/live.js" SCRIPT
    "lib/map.js" SCRIPT
    "lib/paging.js" SCRIPT
    "lib/parts.js" SCRIPT
    "lib/past.js" SCRIPT
    "vendor/README.md" TEXT
    "vendor/countries-110m.json" DATA
    "vendor/d3-array.LICENSE" TEXT
    "vendor/d3-array.min.js" SCRIPT
    "vendor/d3-geo.LICENSE" TEXT
    "vendor/d3-geo.min.js" SCRIPT
    "vendor/internmap.LICENSE" TEXT
    "vendor/topojson-client.LICENSE" TEXT
    "vendor/topojson-client.min.js" SCRIPT
    "vendor/uPlot.iife.min.js" SCRIPT
    "vendor/uPlot.min.css" STYLE
    "vendor/uplot.LICENSE" TEXT
    "vendor/world-atlas.LICENSE" TEXT
    "views/audit.js" SCRIPT
    "views/config.js" SCRIPT
    "views/drill.js" SCRIPT
    "views/drills.js" SCRIPT
    "views/endpoint.js" SCRIPT
    "views/endpoints.js" SCRIPT
    "views/events.js" SCRIPT
    "views/expectations.js" SCRIPT
    "views/explain.js" SCRIPT
    "views/latency.js" SCRIPT
    "views/name.js" SCRIPT
    "views/names.js" SCRIPT
    "views/nodes.js" SCRIPT
    "views/overrides.js" SCRIPT
    "views/overview.js" SCRIPT
    "views/plan.js" SCRIPT
    "views/pool.js" SCRIPT
    "views/pools.js" SCRIPT
    "views/proxy.js" SCRIPT
    "views/region.js" SCRIPT
    "views/votes.js" SCRIPT
    "views/world.js" SCRIPT
};
