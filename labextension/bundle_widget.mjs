// Bundles each of the notebook's widgets to one ES module, with their styles beside them, for the Python package.
import { rspack } from '@rspack/core';
import { copyFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = new URL('.', import.meta.url);
const target = fileURLToPath(new URL('../dlp_lab/widgets/static', here));
const widgets = [
  'slice_viewer',
  'slice_preview',
  'series_picker',
  'job_monitor'
];
const styles = {
  'viewer.css': 'slice_viewer.css',
  'notebook_widgets.css': 'notebook_widgets.css'
};

rspack(
  {
    mode: 'production',
    entry: Object.fromEntries(
      widgets.map(name => [
        name,
        fileURLToPath(new URL(`lib/widget/${name}_widget.js`, here))
      ])
    ),
    experiments: { outputModule: true },
    devtool: false,
    output: {
      path: target,
      filename: '[name].js',
      module: true,
      library: { type: 'module' },
      chunkFormat: 'module'
    }
  },
  (error, stats) => {
    if (error || stats.hasErrors()) {
      console.error(error ?? stats.toString('errors-only'));
      process.exit(1);
    }
    for (const [style, copy] of Object.entries(styles)) {
      copyFileSync(new URL(`style/${style}`, here), `${target}/${copy}`);
    }
  }
);
