//! A bar chart of the programs that are compared, as SVG.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::load::Load;
use crate::measure::Measured;
use crate::report::median;
use crate::summary::CONNECTIONS;

const WIDTH: u32 = 860;
const TITLE: i32 = 46;
const HEADING: i32 = 34;
const BAR: i32 = 22;
/// The space for the names, and for the longest bar.
const NAMES: i32 = 330;
const LONGEST: f64 = 450.0;

const OURS: RGBColor = RGBColor(37, 99, 235);
const OTHERS: RGBColor = RGBColor(156, 163, 175);
const TEXT: RGBColor = RGBColor(31, 41, 55);

/// Writes the requests that a core of the server answers in a second, in each workload.
pub fn write(measured: &[Measured], file: &Path) -> Result<()> {
    let panels = measured.iter().filter(|one| one.load == Load::Connections(CONNECTIONS));
    let panels: Vec<_> = panels.collect();
    let bars: i32 = panels.iter().map(|panel| panel.programs.len() as i32).sum();
    let height = TITLE + panels.len() as i32 * HEADING + bars * BAR + BAR;
    let root = SVGBackend::new(file, (WIDTH, height as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    let text = |size, anchor| {
        let style = ("sans-serif", size).into_font().color(&TEXT);
        style.pos(Pos::new(anchor, VPos::Center))
    };
    let title = "Requests per second and core of the server (longer is better; ours in blue)";
    root.draw(&Text::new(title, (16, TITLE / 2), text(16, HPos::Left)))?;
    let mut y = TITLE;
    for panel in panels {
        let heading = format!("{}, {}", panel.workload, panel.load);
        root.draw(&Text::new(heading, (16, y + HEADING / 2), text(14, HPos::Left)))?;
        y += HEADING;
        let rate = |us: f64| 1e6 / us;
        let bars = panel.programs.iter().map(|program| {
            let cpu = program.rounds.iter().map(|round| round.server_cpu_us_per_request);
            (program.name, rate(median(cpu)))
        });
        let bars: Vec<_> = bars.collect();
        let most = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        for (name, value) in bars {
            let (middle, end) = (y + BAR / 2, NAMES + (LONGEST * value / most) as i32);
            let is_ours = ["checkin", "tower-express-session", "merging-session-store"]
                .iter()
                .any(|ours| name.contains(ours));
            let colour = if is_ours { OURS } else { OTHERS };
            root.draw(&Text::new(name, (NAMES - 8, middle), text(13, HPos::Right)))?;
            root.draw(&Rectangle::new([(NAMES, y + 3), (end, y + BAR - 3)], colour.filled()))?;
            let value = format!("{:.1} k", value / 1e3);
            root.draw(&Text::new(value, (end + 6, middle), text(12, HPos::Left)))?;
            y += BAR;
        }
    }
    Ok(root.present()?)
}
