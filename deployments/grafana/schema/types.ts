// A dashboard as JSON, with the options of the panel kinds that are in use. Grafana's types have enums where JSON has
// their values, and leave options open; both are closed here, so that a misspelt option is an error.
import type { Dashboard as GrafanaDashboard, Panel, RowPanel, FieldConfig } from '@grafana/schema/dist/types/raw/dashboard/x/types.gen';
import type { Options as Gauge } from '@grafana/schema/dist/types/raw/composable/gauge/panelcfg/x/types.gen';
import type { Options as Stat } from '@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen';
import type { Options as Table, FieldConfig as TableField } from '@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen';
import type { Options as TimeSeries, FieldConfig as TimeSeriesField } from '@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen';

type Plain<T> = T extends string ? `${T}`
  : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;

type Query = {
  refId: string;
  datasource: { type: 'prometheus'; uid: 'prometheus' };
  expr: string;
  legendFormat: string;
  instant: boolean;
  range: boolean;
  format?: 'table';
};

type Kind<Type extends string, Options, Custom> = Omit<Plain<Panel>, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  type: Type;
  title: string;
  targets: Query[];
  options: Partial<Plain<Options>>;
  fieldConfig: { defaults: Omit<Plain<FieldConfig>, 'custom'> & { custom?: Partial<Plain<Custom>> }; overrides: [] };
};

type AnyPanel = Plain<RowPanel> | Kind<'stat', Stat, {}> | Kind<'gauge', Gauge, {}> | Kind<'table', Table, TableField>
  | Kind<'timeseries', TimeSeries, TimeSeriesField>;

export type Dashboard = Omit<Plain<GrafanaDashboard>, 'panels'> & { uid: string; title: string; panels: AnyPanel[] };
