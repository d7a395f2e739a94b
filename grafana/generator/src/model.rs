//! Panels and dashboards, and how Grafana spells them: classic JSON of schema version 39.

use serde_json::{Value, json};

/// The width of Grafana's grid, in columns.
const COLUMNS: u32 = 24;
/// The tag by which dashboards link to each other.
const TAG: &str = "jitsi";

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

/// A choice at the top of a dashboard.
#[derive(Debug)]
pub struct Variable {
    /// Its name in expressions.
    pub name: &'static str,
    /// The label that is shown.
    pub label: &'static str,
    /// The metric, with selectors, whose label of the same name has the values.
    pub of: &'static str,
}

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

/// How a panel shows its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stat,
    Graph,
    Bars,
    States,
    Table,
}

/// A panel.
#[derive(Debug)]
pub struct Panel {
    title: &'static str,
    unit: &'static str,
    description: &'static str,
    kind: Kind,
    targets: Vec<(&'static str, &'static str)>,
    size: (u32, u32),
    stacked: bool,
    most: Option<f64>,
    repeat: Option<&'static str>,
    states: &'static [(&'static str, &'static str, &'static str)],
    links: Vec<Value>,
}

impl Row {
    /// An open row.
    #[must_use]
    pub fn open(title: &'static str, panels: Vec<Panel>) -> Self {
        Self { title, collapsed: false, panels }
    }

    /// A row of details.
    #[must_use]
    pub fn closed(title: &'static str, panels: Vec<Panel>) -> Self {
        Self { title, collapsed: true, panels }
    }
}

impl Panel {
    fn new(
        kind: Kind,
        size: (u32, u32),
        [title, unit, description]: [&'static str; 3],
        targets: &[(&'static str, &'static str)],
    ) -> Self {
        Self {
            title,
            unit,
            description,
            kind,
            targets: targets.to_vec(),
            size,
            stacked: false,
            most: None,
            repeat: None,
            states: &[],
            links: Vec::new(),
        }
    }

    /// One number: title, unit and description; the expression.
    #[must_use]
    pub fn stat(words: [&'static str; 3], expr: &'static str) -> Self {
        Self::new(Kind::Stat, (4, 4), words, &[(expr, "")])
    }

    /// Lines over time: title, unit and description; expressions, each with its legend.
    #[must_use]
    pub fn graph(words: [&'static str; 3], targets: &[(&'static str, &'static str)]) -> Self {
        Self::new(Kind::Graph, (12, 8), words, targets)
    }

    /// As a graph, with a bar for what happened in each interval.
    #[must_use]
    pub fn bars(words: [&'static str; 3], targets: &[(&'static str, &'static str)]) -> Self {
        Self::new(Kind::Bars, (12, 8), words, targets).stacked()
    }

    /// A strip per series that says in words in which state it is: value, word and colour of each.
    #[must_use]
    pub fn states(
        [title, description]: [&'static str; 2],
        states: &'static [(&'static str, &'static str, &'static str)],
        targets: &[(&'static str, &'static str)],
    ) -> Self {
        Self { states, ..Self::new(Kind::States, (12, 8), [title, "none", description], targets) }
    }

    /// A table: each expression is the column that its legend names.
    #[must_use]
    pub fn table(words: [&'static str; 3], targets: &[(&'static str, &'static str)]) -> Self {
        Self::new(Kind::Table, (24, 8), words, targets)
    }

    /// As wide as the dashboard.
    #[must_use]
    pub fn wide(mut self) -> Self {
        self.size.0 = COLUMNS;
        self
    }

    /// Series on top of each other.
    #[must_use]
    pub fn stacked(mut self) -> Self {
        self.stacked = true;
        self
    }

    /// The end of the scale.
    #[must_use]
    pub fn up_to(mut self, most: f64) -> Self {
        self.most = Some(most);
        self
    }

    /// Once for each value of the variable.
    #[must_use]
    pub fn per(mut self, variable: &'static str) -> Self {
        self.repeat = Some(variable);
        self
    }

    /// A click on a series leads to the dashboard `uid`, with the label `label` of the series chosen there.
    #[must_use]
    pub fn link(mut self, title: &str, uid: &str, label: &str) -> Self {
        let value = match self.kind {
            Kind::Table => format!("${{__data.fields.{label}}}"),
            _ => format!("${{__field.labels.{label}}}"),
        };
        let url =
            format!("/d/{uid}?${{__url_time_range}}&var-datasource=${{datasource}}&var-{label}={value}");
        self.links.push(json!({"title": title, "url": url}));
        self
    }

    fn json(&self, filter: &str, id: u32, (x, y): (u32, u32)) -> Value {
        let (width, height) = self.size;
        let table = self.kind == Kind::Table;
        let instant = matches!(self.kind, Kind::Stat | Kind::Table);
        let target = |(number, (expr, legend)): (u8, &(&str, &str))| {
            json!({
                "refId": char::from(b'A' + number).to_string(),
                "datasource": data_source(),
                "editorMode": "code",
                "expr": expr.replace('@', filter),
                "legendFormat": if legend.is_empty() { "__auto" } else { legend },
                "instant": instant,
                "range": !instant,
                "format": if table { "table" } else { "time_series" },
            })
        };
        let mut panel = json!({
            "id": id,
            "title": self.title,
            "description": self.description,
            "type": self.kind.plugin(),
            "datasource": data_source(),
            "gridPos": {"x": x, "y": y, "w": width, "h": height},
            "targets": (0..).zip(&self.targets).map(target).collect::<Vec<_>>(),
            "fieldConfig": {"defaults": self.defaults(), "overrides": []},
            "options": self.options(),
        });
        if let Some(variable) = self.repeat {
            panel["repeat"] = json!(variable);
            panel["repeatDirection"] = json!("h");
            panel["maxPerRow"] = json!(2);
        }
        if self.kind == Kind::Bars {
            // A bar counts what happened in its interval, for which that must hold some scrapes.
            panel["interval"] = json!("1m");
        }
        if table {
            panel["transformations"] = self.transformations();
        }
        panel
    }

    fn defaults(&self) -> Value {
        let mut defaults = json!({"unit": self.unit, "links": self.links});
        if let Some(most) = self.most {
            defaults["max"] = json!(most);
        }
        match self.kind {
            Kind::Graph | Kind::Bars => {
                let bars = self.kind == Kind::Bars;
                defaults["min"] = json!(0);
                defaults["custom"] = json!({
                    "drawStyle": if bars { "bars" } else { "line" },
                    "fillOpacity": if bars { 80 } else { 10 },
                    "lineWidth": 1,
                    "showPoints": "auto",
                    "spanNulls": false,
                    "stacking": {"group": "A", "mode": if self.stacked { "normal" } else { "none" }},
                });
            }
            Kind::States => {
                let options: serde_json::Map<_, _> = self
                    .states
                    .iter()
                    .map(|(value, text, color)| ((*value).to_owned(), json!({"text": text, "color": color})))
                    .collect();
                defaults["mappings"] = json!([{"type": "value", "options": options}]);
                defaults["custom"] = json!({"fillOpacity": 80, "lineWidth": 0, "spanNulls": false});
            }
            Kind::Stat => {
                let steps = json!([{"color": "text", "value": null}]);
                defaults["thresholds"] = json!({"mode": "absolute", "steps": steps});
            }
            Kind::Table => {}
        }
        defaults
    }

    fn options(&self) -> Value {
        let legend = json!({"displayMode": "list", "placement": "bottom", "showLegend": true});
        let tooltip = json!({"mode": "multi", "sort": "desc"});
        match self.kind {
            Kind::Stat => json!({
                "colorMode": "value",
                "graphMode": "none",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                "textMode": "auto",
            }),
            Kind::Graph | Kind::Bars => json!({"legend": legend, "tooltip": tooltip}),
            Kind::States => {
                json!({"legend": legend, "tooltip": tooltip, "mergeValues": true, "showValue": "auto"})
            }
            Kind::Table => json!({"showHeader": true, "cellHeight": "sm"}),
        }
    }

    /// One row for all columns that have the same labels, which the columns' names follow.
    fn transformations(&self) -> Value {
        let one = self.targets.len() == 1;
        let columns = (b'A'..).zip(&self.targets).map(|(letter, (_, legend))| {
            let name = if one { "Value".to_owned() } else { format!("Value #{}", char::from(letter)) };
            (name, json!(legend))
        });
        let renamed: serde_json::Map<_, _> = columns.collect();
        json!([
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {
                "excludeByName": {"Time": true, "__name__": true},
                "indexByName": {},
                "renameByName": renamed,
            }},
        ])
    }
}

impl Kind {
    fn plugin(self) -> &'static str {
        match self {
            Self::Stat => "stat",
            Self::Graph | Self::Bars => "timeseries",
            Self::States => "state-timeline",
            Self::Table => "table",
        }
    }
}

fn data_source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

impl Variable {
    fn json(&self) -> Value {
        let query = format!("label_values({}, {})", self.of, self.name);
        json!({
            "type": "query",
            "name": self.name,
            "label": self.label,
            "datasource": data_source(),
            "definition": query,
            "query": {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
            "refresh": 2,
            "sort": 1,
            "multi": true,
            "includeAll": true,
            "allValue": ".+",
            "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
        })
    }
}

impl Dashboard {
    /// As Grafana reads it.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut variables = vec![json!({
            "type": "datasource",
            "name": "datasource",
            "label": "Data source",
            "query": "prometheus",
            "refresh": 1,
            "current": {"selected": false, "text": "default", "value": "default"},
        })];
        variables.extend(self.variables.iter().map(Variable::json));
        json!({
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": 39,
            "editable": false,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-3h", "to": "now"},
            "timezone": "browser",
            "links": [{
                "type": "dashboards",
                "title": "Jitsi",
                "tags": [TAG],
                "asDropdown": true,
                "includeVars": true,
                "keepTime": true,
            }],
            "annotations": {"list": annotations()},
            "templating": {"list": variables},
            "panels": self.panels(),
        })
    }

    /// Lays the panels out from left to right, row by row.
    fn panels(&self) -> Vec<Value> {
        let (mut panels, mut id, mut y) = (Vec::new(), 0, 0);
        for row in &self.rows {
            id += 1;
            let place = json!({"x": 0, "y": y, "w": COLUMNS, "h": 1});
            let (mut inside, mut x, mut height, head) = (Vec::new(), 0, 0, id);
            y += 1;
            for panel in &row.panels {
                let (width, tall) = panel.size;
                if x + width > COLUMNS {
                    (x, y, height) = (0, y + height, 0);
                }
                id += 1;
                inside.push(panel.json(self.filter, id, (x, y)));
                (x, height) = (x + width, height.max(tall));
            }
            y += height;
            let (within, after) = if row.collapsed { (inside, Vec::new()) } else { (Vec::new(), inside) };
            panels.push(json!({
                "id": head,
                "type": "row",
                "title": row.title,
                "collapsed": row.collapsed,
                "gridPos": place,
                "panels": within,
            }));
            panels.extend(after);
        }
        panels
    }
}

/// What the scaler did, on every dashboard: a counter that rose, or that is there for the first time.
fn annotations() -> Value {
    let decisions = |action: &str| {
        let counter = format!("jitsi_scaler_decisions_total{{action=\"{action}\"}}");
        format!(
            "sum by (fleet, asg, region, action) (increase({counter}[1m]) > 0 or ({counter} unless {counter} offset 1m))"
        )
    };
    let annotation = |name: &str, action: &str, color: &str| {
        json!({
            "name": name,
            "datasource": data_source(),
            "enable": true,
            "iconColor": color,
            "expr": decisions(action),
            "step": "60s",
            "titleFormat": format!("{name}: {{{{asg}}}}"),
            "textFormat": "fleet {{fleet}}, {{region}}",
            "tagKeys": "fleet,asg",
        })
    };
    json!([annotation("Scaled out", "scale_out", "blue"), annotation("Scaled in", "scale_in", "orange"),])
}
