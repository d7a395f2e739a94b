//! Panels and dashboards as tables: what they show, in the words of this repository. `json` spells them for Grafana.

use serde_json::{Value, json};

/// The width of Grafana's grid, in columns.
pub(crate) const COLUMNS: u32 = 24;
/// The least version of Grafana that understands everything that the dashboards use.
pub const LEAST_GRAFANA: &str = "10.3";

/// A value, its word and its colour.
pub(crate) type States = &'static [(&'static str, &'static str, &'static str)];
/// From which value on a colour holds; the first has none.
pub(crate) type Steps = &'static [(Option<f64>, &'static str)];

/// 0 is well.
pub(crate) const NONE_IS_WELL: Steps = &[(None, "green"), (Some(1.0), "red")];
/// 0 is well, more is a warning.
pub(crate) const NONE_IS_BEST: Steps = &[(None, "green"), (Some(1.0), "orange")];
/// A number that is neither good nor bad.
pub(crate) const NEUTRAL: Steps = &[(None, "blue")];
/// A share of failures.
pub(crate) const FAILING: Steps = &[(None, "green"), (Some(0.05), "orange"), (Some(0.5), "red")];
/// A stress: from 0.8 on Jicofo regards a bridge as overloaded.
pub(crate) const STRESS: Steps = &[(None, "green"), (Some(0.6), "yellow"), (Some(0.8), "red")];

/// A dashboard.
#[derive(Debug)]
pub struct Dashboard {
    /// Its address, and the name of its file.
    pub uid: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Which questions it answers.
    pub description: &'static str,
    /// Variables, in addition to the data source.
    pub variables: Vec<Variable>,
    /// The label matchers that replace `@` in expressions.
    pub filter: &'static str,
    /// Its panels.
    pub rows: Vec<Row>,
}

/// A choice at the top of a dashboard. A name that two dashboards share means the same on both: links carry it along.
#[derive(Debug)]
pub struct Variable {
    /// Its name in expressions.
    pub name: &'static str,
    /// The label that is shown.
    pub label: &'static str,
    /// The values to choose from.
    pub values: Values,
}

/// Where the values of a variable come from.
#[derive(Debug)]
pub enum Values {
    /// The values of `label` of a metric, with selectors.
    Label {
        /// The label.
        label: &'static str,
        /// The metric.
        of: &'static str,
        /// Whether targets may lack the label: then "All" includes them.
        optional: bool,
    },
    /// What is found in the result of an expression by a regular expression with the groups `value` and `text`.
    Result {
        /// The expression.
        expr: &'static str,
        /// The regular expression.
        regex: &'static str,
    },
    /// What somebody types; this is the default.
    Text(&'static str),
}

impl Variable {
    /// A choice of values of `label`, which every series of `of` has.
    pub(crate) const fn of(
        name: &'static str,
        shown: &'static str,
        label: &'static str,
        of: &'static str,
    ) -> Self {
        Self { name, label: shown, values: Values::Label { label, of, optional: false } }
    }

    /// As [`Variable::of`], of a label that some targets lack.
    pub(crate) const fn optional(
        name: &'static str,
        shown: &'static str,
        label: &'static str,
        of: &'static str,
    ) -> Self {
        Self { name, label: shown, values: Values::Label { label, of, optional: true } }
    }
}

/// The policies of the groups, one by one: its value is a list of matchers.
pub(crate) const POLICY: Variable = Variable {
    name: "policy",
    label: "Policy",
    values: Values::Result {
        expr: r#"count by (asg, policy, region, zz) (label_join(jitsi_scaler_policy_value{fleet=~"$fleet", asg=~"$asg"} or jitsi_scaler_policy_verdict{fleet=~"$fleet", asg=~"$asg"}, "zz", ": ", "asg", "policy"))"#,
        regex: r#"/\{(?<value>.+),\s*zz="(?<text>[^"]+)"\}/"#,
    },
};

/// Where people find the scaler's page.
pub(crate) const PAGE: Variable =
    Variable { name: "page", label: "Scaler's page", values: Values::Text("http://127.0.0.1:10066") };

/// Panels under a heading.
#[derive(Debug)]
pub struct Row {
    /// The heading.
    pub title: &'static str,
    /// Whether it starts collapsed.
    pub collapsed: bool,
    /// Its panels.
    pub panels: Vec<Panel>,
}

impl Row {
    /// An open row.
    pub(crate) fn open(title: &'static str, panels: Vec<Panel>) -> Self {
        Self { title, collapsed: false, panels }
    }

    /// A row of details.
    pub(crate) fn closed(title: &'static str, panels: Vec<Panel>) -> Self {
        Self { title, collapsed: true, panels }
    }
}

/// How a panel shows its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Stat,
    Graph,
    Bars,
    States,
    Table,
    Heatmap,
}

/// How a line of a graph looks.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Look {
    /// A bound or a threshold, in a colour.
    Dashed(&'static str),
    /// A line on top of what is stacked.
    Line(&'static str),
    /// Stacked, and filled with a colour.
    Filled(&'static str),
}

/// How a column of a table shows its numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell {
    /// As a number with a unit.
    Number(&'static str),
    /// As a gauge with a unit, up to 1.
    Gauge(&'static str, Steps),
    /// As a word on a colour.
    Word(States),
}

/// A panel.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "ways to look, independent of each other")]
pub struct Panel {
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) description: &'static str,
    pub(crate) kind: Kind,
    pub(crate) targets: Vec<(String, &'static str)>,
    pub(crate) size: (u32, u32),
    pub(crate) stacked: bool,
    pub(crate) fractional: bool,
    pub(crate) sparkline: bool,
    pub(crate) background: bool,
    pub(crate) steps: Steps,
    pub(crate) ends: (Option<f64>, Option<f64>),
    pub(crate) repeat: Option<&'static str>,
    pub(crate) states: States,
    pub(crate) nothing: Option<&'static str>,
    pub(crate) looks: Vec<(&'static str, Look)>,
    pub(crate) labels: &'static [(&'static str, &'static str)],
    pub(crate) cells: Vec<(&'static str, Cell)>,
    pub(crate) sort: Option<&'static str>,
    pub(crate) links: Vec<(Option<&'static str>, Value)>,
}

impl Panel {
    fn new(
        kind: Kind,
        size: (u32, u32),
        [title, unit, description]: [&'static str; 3],
        targets: Vec<(String, &'static str)>,
    ) -> Self {
        Self {
            title,
            unit,
            description,
            kind,
            targets,
            size,
            stacked: false,
            fractional: false,
            sparkline: false,
            background: false,
            steps: &[(None, "text")],
            ends: (None, None),
            repeat: None,
            states: &[],
            nothing: None,
            looks: Vec::new(),
            labels: &[],
            cells: Vec::new(),
            sort: None,
            links: Vec::new(),
        }
    }

    /// One number: title, unit and description; the expression. Without a value it says "unknown".
    pub(crate) fn stat(words: [&'static str; 3], expr: impl Into<String>) -> Self {
        Self::new(Kind::Stat, (4, 4), words, vec![(expr.into(), "")])
    }

    /// A number on a colour, at the top of a dashboard.
    pub(crate) fn verdict(words: [&'static str; 3], steps: Steps, expr: impl Into<String>) -> Self {
        Self { steps, background: true, size: (3, 4), ..Self::stat(words, expr) }
    }

    /// A word on a colour, at the top of a dashboard.
    pub(crate) fn word(
        [title, description]: [&'static str; 2],
        states: States,
        expr: impl Into<String>,
    ) -> Self {
        let steps = &[(None, "text")];
        Self { states, ..Self::verdict([title, "none", description], steps, expr) }
    }

    /// Lines over time: title, unit and description; expressions, each with its legend.
    pub(crate) fn graph<E: Into<String>, const N: usize>(
        words: [&'static str; 3],
        targets: [(E, &'static str); N],
    ) -> Self {
        Self::new(Kind::Graph, (12, 8), words, owned(targets))
    }

    /// As a graph, with a bar for what happened in each interval.
    pub(crate) fn bars<E: Into<String>, const N: usize>(
        words: [&'static str; 3],
        targets: [(E, &'static str); N],
    ) -> Self {
        Self::new(Kind::Bars, (12, 8), words, owned(targets)).stacked()
    }

    /// A strip per series that says in words in which state it is.
    pub(crate) fn states(
        [title, description]: [&'static str; 2],
        states: States,
        expr: impl Into<String>,
        legend: &'static str,
    ) -> Self {
        let panel =
            Self::new(Kind::States, (24, 10), [title, "none", description], vec![(expr.into(), legend)]);
        Self { states, ..panel }
    }

    /// A table: a row for each set of the labels, which have headings; then columns of expressions with headings.
    pub(crate) fn table<E: Into<String>, const N: usize>(
        words: [&'static str; 3],
        labels: &'static [(&'static str, &'static str)],
        columns: [(E, &'static str); N],
    ) -> Self {
        Self { labels, ..Self::new(Kind::Table, (24, 9), words, owned(columns)) }
    }

    /// The buckets of a histogram over time.
    pub(crate) fn heatmap(words: [&'static str; 3], expr: impl Into<String>) -> Self {
        Self::new(Kind::Heatmap, (12, 8), words, vec![(expr.into(), "{{le}}")])
    }

    /// As wide as the dashboard.
    pub(crate) fn wide(mut self) -> Self {
        self.size.0 = COLUMNS;
        self
    }

    /// So wide, in columns of the grid.
    pub(crate) fn wide_by(mut self, columns: u32) -> Self {
        self.size.0 = columns;
        self
    }

    /// So high, in rows of the grid.
    pub(crate) fn high(mut self, rows: u32) -> Self {
        self.size.1 = rows;
        self
    }

    /// Series on top of each other.
    pub(crate) fn stacked(mut self) -> Self {
        self.stacked = true;
        self
    }

    /// With values that are no whole numbers.
    pub(crate) fn fractional(mut self) -> Self {
        self.fractional = true;
        self
    }

    /// With its course behind the number.
    pub(crate) fn sparkline(mut self) -> Self {
        self.sparkline = true;
        self
    }

    /// The end of the scale.
    pub(crate) fn up_to(mut self, most: f64) -> Self {
        self.ends.1 = Some(most);
        self
    }

    /// The end of the scale while all values are smaller.
    pub(crate) fn at_least_to(mut self, most: f64) -> Self {
        self.ends.0 = Some(most);
        self
    }

    /// Once for each value of the variable, which the title names.
    pub(crate) fn per(mut self, variable: &'static str) -> Self {
        self.repeat = Some(variable);
        self
    }

    /// What is shown where there is nothing to show, if that is not "unknown".
    pub(crate) fn without(mut self, text: &'static str) -> Self {
        self.nothing = Some(text);
        self
    }

    /// How the lines of the legend `legend` look; `/…/` is a regular expression.
    pub(crate) fn line(mut self, legend: &'static str, look: Look) -> Self {
        self.looks.push((legend, look));
        self
    }

    /// How the column under `heading` shows its numbers.
    pub(crate) fn cell(mut self, heading: &'static str, cell: Cell) -> Self {
        self.cells.push((heading, cell));
        self
    }

    /// The column by which rows are sorted, the largest first.
    pub(crate) fn sorted_by(mut self, heading: &'static str) -> Self {
        self.sort = Some(heading);
        self
    }

    /// A click on a series leads to the dashboard `uid`, with `variable` set to the label `label` of the series; in a
    /// table, a click in the column under the heading of that label.
    pub(crate) fn link(mut self, title: &str, uid: &str, variable: &str, label: &'static str) -> Self {
        let value = self.value_of(label);
        let url =
            format!("/d/{uid}?${{__url_time_range}}&var-datasource=${{datasource}}&var-{variable}={value}");
        let heading = self.heading(label);
        self.links.push((heading, json!({"title": title, "url": url})));
        self
    }

    /// A click in the column of the label `label` leads to `url`, in which `{LABEL}` stands for the value of a label.
    pub(crate) fn link_out(mut self, title: &str, label: &'static str, url: &str) -> Self {
        let mut url = url.to_owned();
        for (name, _) in self.labels {
            url = url.replace(&format!("{{{name}}}"), &self.value_of(name));
        }
        let heading = self.heading(label);
        self.links.push((heading, json!({"title": title, "url": url, "targetBlank": true})));
        self
    }

    fn value_of(&self, label: &str) -> String {
        match self.kind {
            Kind::Table => format!("${{__data.fields.{label}}}"),
            _ => format!("${{__field.labels.{label}}}"),
        }
    }

    fn heading(&self, label: &str) -> Option<&'static str> {
        self.labels.iter().find(|(name, _)| *name == label).map(|(_, heading)| *heading)
    }
}

fn owned<E: Into<String>, const N: usize>(targets: [(E, &'static str); N]) -> Vec<(String, &'static str)> {
    targets.into_iter().map(|(expr, legend)| (expr.into(), legend)).collect()
}
