import { LabIcon } from '@jupyterlab/ui-components';

/** A stack of slices. The class makes it follow the theme. */
export const dlpIcon = new LabIcon({
  name: 'dlp-lab:icon',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M12 2.5 2.5 7.75 12 13l9.5-5.25zm0 2.3 5.3 2.95L12 10.7 6.7 7.75z"/>
    <path d="m4.6 10.9-2.1 1.15L12 17.3l9.5-5.25-2.1-1.15L12 15z"/>
    <path d="m4.6 15.2-2.1 1.15L12 21.6l9.5-5.25-2.1-1.15L12 19.3z"/>
  </g>
</svg>`
});
