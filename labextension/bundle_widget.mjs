// Bundles the notebook's widget to one ES module, with the viewer's style beside it, for the Python package.
import { rspack } from '@rspack/core';
import { copyFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = new URL('.', import.meta.url);
const target = fileURLToPath(new URL('../dlp_lab/widgets/static', here));

rspack(
  {
    mode: 'production',
    entry: fileURLToPath(new URL('lib/widget/slice_viewer_widget.js', here)),
    experiments: { outputModule: true },
    devtool: false,
    output: {
      path: target,
      filename: 'slice_viewer.js',
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
    copyFileSync(
      new URL('style/viewer.css', here),
      `${target}/slice_viewer.css`
    );
  }
);
