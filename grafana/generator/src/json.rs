//! How Grafana spells panels and dashboards: classic JSON of schema version 39.

use serde_json::{Map, Value, json};

use crate::model::{COLUMNS, Cell, Dashboard, Kind, Look, Panel, States, Steps, Values, Variable};
use crate::promql::counted;

/// The tag by which dashboards link to each other.
const TAG: &str = "jitsi";

fn data_source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

impl Kind {
    fn plugin(self) -> &'static str {
        match self {
            Self::Stat => "stat",
            Self::Graph | Self::Bars => "timeseries",
            Self::States => "state-timeline",
            Self::Table => "table",
            Self::Heatmap => "heatmap",
        }
    }
}

fn thresholds(steps: Steps) -> Value {
    let steps: Vec<_> = steps.iter().map(|(value, color)| json!({"color": color, "value": value})).collect();
    json!({"mode": "absolute", "steps": steps})
}

fn words(states: States) -> Value {
    let options: Map<_, _> = states
        .iter()
        .map(|(value, text, color)| ((*value).to_owned(), json!({"text": text, "color": color})))
        .collect();
    json!({"type": "value", "options": options})
}

/// A number that is none, which a sparkline ends with where there is no present value.
fn unknown() -> Value {
    json!({"type": "special", "options": {"match": "null+nan", "result": {"text": "unknown", "color": "purple"}}})
}

impl Panel {
    fn instant(&self) -> bool {
        matches!(self.kind, Kind::Stat | Kind::Table) && !self.sparkline
    }

    fn json(&self, filter: &str, id: u32, (x, y): (u32, u32)) -> Value {
        let (width, height) = self.size;
        let (instant, table) = (self.instant(), self.kind == Kind::Table);
        let format = match self.kind {
            Kind::Table => "table",
            Kind::Heatmap => "heatmap",
            _ => "time_series",
        };
        let target = |(number, (expr, legend)): (u8, &(String, &str))| {
            let expr = expr.replace('@', filter);
            json!({
                "refId": char::from(b'A' + number).to_string(),
                "datasource": data_source(),
                "editorMode": "code",
                // The last point of a course that has ended must not pass for the present value.
                "expr": if self.sparkline { format!("({expr}) or vector(NaN)") } else { expr },
                "legendFormat": if legend.is_empty() { "__auto" } else { legend },
                "instant": instant,
                "range": !instant,
                "format": format,
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
            "fieldConfig": {"defaults": self.defaults(), "overrides": self.overrides()},
            "options": self.options(),
        });
        if let Some(variable) = self.repeat {
            panel["repeat"] = json!(variable);
            panel["repeatDirection"] = json!("h");
            panel["maxPerRow"] = json!(2);
        }
        if matches!(self.kind, Kind::Bars | Kind::Heatmap) {
            // A bar counts what happened in its interval, for which that must not be shorter than a scrape interval.
            panel["interval"] = json!("1m");
        }
        if table {
            panel["transformations"] = self.transformations();
        }
        panel
    }

    fn defaults(&self) -> Value {
        let everywhere = self.links.iter().filter(|(heading, _)| heading.is_none());
        let links: Vec<_> = everywhere.map(|(_, link)| link).collect();
        let mut defaults =
            json!({"unit": self.unit, "links": links, "noValue": self.nothing.unwrap_or("unknown")});
        if self.unit == "short" && !self.fractional && self.kind != Kind::Table {
            defaults["decimals"] = json!(0);
        }
        if let Some(most) = self.ends.1 {
            defaults["max"] = json!(most);
        }
        match self.kind {
            Kind::Graph | Kind::Bars => {
                let bars = self.kind == Kind::Bars;
                defaults["min"] = json!(0);
                defaults["custom"] = json!({
                    "drawStyle": if bars { "bars" } else { "line" },
                    "fillOpacity": if bars { 80 } else if self.stacked { 40 } else { 0 },
                    "lineWidth": 1,
                    "showPoints": "auto",
                    "spanNulls": false,
                    "stacking": {"group": "A", "mode": if self.stacked { "normal" } else { "none" }},
                });
                if let Some(least) = self.ends.0 {
                    defaults["custom"]["axisSoftMax"] = json!(least);
                }
            }
            Kind::States => {
                defaults["mappings"] = json!([words(self.states)]);
                defaults["custom"] = json!({"fillOpacity": 80, "lineWidth": 0});
            }
            Kind::Stat => {
                let mut mappings = vec![unknown()];
                if !self.states.is_empty() {
                    mappings.push(words(self.states));
                }
                defaults["mappings"] = json!(mappings);
                defaults["thresholds"] = thresholds(self.steps);
            }
            // The table of groups has fourteen columns.
            Kind::Table => defaults["custom"] = json!({"minWidth": 60}),
            Kind::Heatmap => {}
        }
        defaults
    }

    /// Looks of lines and columns, and the links of columns.
    fn overrides(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for (legend, look) in &self.looks {
            let matcher = if legend.starts_with('/') { "byRegexp" } else { "byName" };
            found.push(
                json!({"matcher": {"id": matcher, "options": legend}, "properties": look.properties()}),
            );
        }
        for (heading, cell) in &self.cells {
            found.push(
                json!({"matcher": {"id": "byName", "options": heading}, "properties": cell.properties()}),
            );
        }
        if matches!(self.kind, Kind::Graph | Kind::Bars) {
            // Grafana writes the text of an empty panel beside each tick that is no whole number.
            found.push(json!({
                "matcher": {"id": "byRegexp", "options": "/.*/"},
                "properties": [{"id": "noValue", "value": ""}],
            }));
        }
        // The text of an empty table is not that of an empty cell.
        let column = |heading: &str, properties: Value| json!({"matcher": {"id": "byName", "options": heading}, "properties": properties});
        for (_, heading) in self.labels {
            let of_it = self.links.iter().filter(|(of, _)| of == &Some(*heading));
            let links: Vec<_> = of_it.map(|(_, link)| link).collect();
            found.push(column(
                heading,
                json!([{"id": "noValue", "value": ""}, {"id": "links", "value": links}]),
            ));
        }
        if self.kind == Kind::Table {
            let columns = self.targets.iter().map(|(_, heading)| heading);
            found.extend(columns.map(|it| column(it, json!([{"id": "noValue", "value": "unknown"}]))));
        }
        found
    }

    fn options(&self) -> Value {
        let tooltip = json!({"mode": "multi", "sort": "desc"});
        match self.kind {
            Kind::Stat => json!({
                "colorMode": if self.background { "background" } else { "value" },
                "graphMode": if self.sparkline { "area" } else { "none" },
                "justifyMode": "auto",
                "orientation": "auto",
                "reduceOptions": {"calcs": ["last"], "fields": "", "values": false},
                "textMode": "value",
            }),
            Kind::Graph | Kind::Bars => {
                let calcs = if self.kind == Kind::Bars { ["sum", "max"] } else { ["lastNotNull", "max"] };
                json!({
                    "legend": {"displayMode": "table", "placement": "right", "showLegend": true, "calcs": calcs},
                    "tooltip": tooltip,
                })
            }
            Kind::States => json!({
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []},
                "tooltip": tooltip,
                "mergeValues": true,
                "rowHeight": 0.9,
                "showValue": "auto",
            }),
            Kind::Table => {
                let sort = self.sort.map(|heading| json!({"displayName": heading, "desc": true}));
                json!({
                    "showHeader": true,
                    "cellHeight": "sm",
                    "frameIndex": 0,
                    "sortBy": sort.into_iter().collect::<Vec<_>>(),
                })
            }
            Kind::Heatmap => json!({
                "calculate": false,
                "cellGap": 1,
                "color": {
                    "mode": "scheme", "scheme": "Blues", "fill": "blue", "exponent": 0.5, "reverse": false, "steps": 32,
                },
                "exemplars": {"color": "orange"},
                "filterValues": {"le": 1e-9},
                "legend": {"show": true},
                "showValue": "never",
                "tooltip": {"show": true},
                "yAxis": {"axisPlacement": "left", "unit": self.unit},
            }),
        }
    }

    /// One row for all columns that have the same labels; headings, and the labels first.
    fn transformations(&self) -> Value {
        let one = self.targets.len() == 1;
        let columns = (b'A'..).zip(&self.targets).map(|(letter, (_, heading))| {
            let name = if one { "Value".to_owned() } else { format!("Value #{}", char::from(letter)) };
            (name, *heading)
        });
        let all: Vec<_> = self
            .labels
            .iter()
            .map(|(label, heading)| ((*label).to_owned(), *heading))
            .chain(columns)
            .collect();
        let order: Map<_, _> =
            (0..).zip(&all).map(|(place, (name, _))| (name.clone(), json!(place))).collect();
        let renamed: Map<_, _> = all.into_iter().map(|(name, heading)| (name, json!(heading))).collect();
        json!([
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {
                "excludeByName": {"Time": true, "__name__": true},
                "indexByName": order,
                "renameByName": renamed,
            }},
        ])
    }
}

impl Look {
    fn properties(self) -> Value {
        let (color, fill, stacked) = match self {
            Self::Dashed(color) | Self::Line(color) => (color, 0, false),
            Self::Filled(color) => (color, 60, true),
        };
        let mut properties = vec![
            json!({"id": "color", "value": {"mode": "fixed", "fixedColor": color}}),
            json!({"id": "custom.fillOpacity", "value": fill}),
            json!({"id": "custom.stacking", "value": {"group": "A", "mode": if stacked { "normal" } else { "none" }}}),
        ];
        if matches!(self, Self::Dashed(_)) {
            properties.push(json!({"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [10, 10]}}));
        }
        if matches!(self, Self::Line(_)) {
            properties.push(json!({"id": "custom.lineWidth", "value": 2}));
        }
        json!(properties)
    }
}

impl Cell {
    fn properties(self) -> Value {
        let unit = |unit: &str| json!({"id": "unit", "value": unit});
        let options =
            |kind: &str| json!({"id": "custom.cellOptions", "value": {"type": kind, "mode": "basic"}});
        match self {
            Self::Number(of) => json!([unit(of)]),
            Self::Gauge(of, steps) => json!([
                unit(of),
                options("gauge"),
                {"id": "min", "value": 0},
                {"id": "max", "value": 1},
                {"id": "thresholds", "value": thresholds(steps)},
            ]),
            Self::Word(states) => {
                json!([options("color-background"), {"id": "mappings", "value": [words(states)]}])
            }
        }
    }
}

impl Variable {
    fn json(&self) -> Value {
        let (query, regex) = match &self.values {
            Values::Label { label, of, .. } => (format!("label_values({of}, {label})"), ""),
            Values::Result { expr, regex } => (format!("query_result({expr})"), *regex),
            Values::Text(default) => {
                return json!({
                    "type": "textbox",
                    "name": self.name,
                    "label": self.label,
                    "query": default,
                    "current": {"selected": false, "text": default, "value": default},
                });
            }
        };
        let mut variable = json!({
            "type": "query",
            "name": self.name,
            "label": self.label,
            "datasource": data_source(),
            "definition": query,
            "query": {"query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
            "regex": regex,
            "refresh": 2,
            "sort": 1,
            "multi": true,
            "includeAll": true,
            "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
        });
        // Elsewhere "All" stands for the values in the list, and so for nothing that another choice excludes.
        if matches!(self.values, Values::Label { optional: true, .. }) {
            variable["allValue"] = json!(".*");
        }
        variable
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

/// What the scaler did, on every dashboard; and in another colour what it would have done.
fn annotations() -> Value {
    let annotation = |name: &str, matchers: &str, color: &str| {
        let counter = format!("jitsi_scaler_decisions_total{{{matchers}}}");
        json!({
            "name": name,
            "datasource": data_source(),
            "enable": true,
            "iconColor": color,
            "expr": format!("sum by (fleet, asg, region, action) ({}) > 0", counted(&counter, "$__interval")),
            "step": "60s",
            "titleFormat": format!("{name}: {{{{asg}}}}"),
            "textFormat": "{{action}}, fleet {{fleet}}, {{region}}",
            "tagKeys": "fleet,asg",
        })
    };
    json!([
        annotation("Scaled out", r#"action="scale_out", dry_run="false""#, "blue"),
        annotation("Scaled in", r#"action="scale_in", dry_run="false""#, "orange"),
        annotation("Would have scaled (dry run)", r#"action!="hold", dry_run="true""#, "purple"),
    ])
}
