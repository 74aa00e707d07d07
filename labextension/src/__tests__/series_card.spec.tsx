import { nullTranslator } from '@jupyterlab/translation';
import React, { act } from 'react';
import { createRoot } from 'react-dom/client';
import { SeriesSummary } from '../generated/types';
import { SeriesCard } from '../series_card';

Object.assign(globalThis, {
  IS_REACT_ACT_ENVIRONMENT: true,
  IntersectionObserver: class {
    observe(): void {}
    disconnect(): void {}
  }
});

const SERIES: SeriesSummary = {
  series_instance_uid: '1.2',
  description: 'T1 axial',
  modality: 'MR',
  sop_class: 'MR Image Storage',
  files: 20,
  frames: null,
  verdict: 'usable',
  reason: '',
  shape: [20, 256, 256],
  spacing_kji_mm: [7, 0.86, 0.86],
  warnings: [],
  file_bytes: 1
};

describe('SeriesCard', () => {
  it('names its series in buttons that are heard alone, after what is seen', () => {
    const host = document.createElement('div');
    const root = createRoot(host);
    const actions = { show: jest.fn(), chooseTask: jest.fn() };
    act(() =>
      root.render(
        <SeriesCard
          series={SERIES}
          trans={nullTranslator.load('dlp_lab')}
          picture={() => Promise.resolve('')}
          {...actions}
        />
      )
    );
    const buttons = [...host.querySelectorAll('button')];
    expect(buttons.map(button => button.getAttribute('aria-label'))).toEqual([
      'Show slices: T1 axial',
      'Run a task: T1 axial'
    ]);
    buttons.forEach(button => button.click());
    expect(actions.show).toHaveBeenCalledWith(SERIES);
    expect(actions.chooseTask).toHaveBeenCalledWith(SERIES, 0, 0);
    act(() => root.unmount());
  });
});
