import { nullTranslator } from '@jupyterlab/translation';
import React, { act } from 'react';
import { createRoot, Root } from 'react-dom/client';
import { Job } from '../generated/types';
import { JobRow } from '../job_row';
import { BLUR, makeJob } from './fixtures';

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

describe('JobRow', () => {
  let host: HTMLElement;
  let root: Root;
  const onCancel = jest.fn();
  const onRetry = jest.fn();
  const onShowResult = jest.fn();

  beforeEach(() => {
    jest.clearAllMocks();
    host = document.createElement('div');
    root = createRoot(host);
  });

  afterEach(() => act(() => root.unmount()));

  const show = (changes: Partial<Job>) =>
    act(() =>
      root.render(
        <JobRow
          job={makeJob(changes)}
          task={BLUR}
          logsDir="out/logs"
          trans={nullTranslator.load('dlp_lab')}
          onCancel={onCancel}
          onRetry={onRetry}
          onShowResult={onShowResult}
        />
      )
    );
  const buttons = () => [...host.querySelectorAll('button')];

  it('shows progress and step of a running job, which can be cancelled', () => {
    show({
      state: 'running',
      progress: 0.254,
      message: 'smoothing',
      started_at: new Date().toISOString()
    });
    const bar = host.querySelector('[role=progressbar]');
    expect(bar?.getAttribute('aria-valuenow')).toBe('25');
    expect(host.textContent).toContain('smoothing');
    expect(host.textContent).toContain('Sigma (mm) 2');
    expect(host.textContent).not.toContain('nearest');
    expect(buttons().map(button => button.textContent)).toEqual(['Cancel']);
    buttons()[0].click();
    expect(onCancel).toHaveBeenCalledWith('a'.repeat(32));
  });

  it('leads from a succeeded job to its result', () => {
    show({ state: 'succeeded', output_dir: 'out/1', progress: 1 });
    expect(host.querySelector('[role=progressbar]')).toBeNull();
    expect(buttons().map(button => button.textContent)).toEqual([
      'Show result'
    ]);
    buttons()[0].click();
    expect(onShowResult).toHaveBeenCalledWith('out/1');
  });

  it('says that nothing but the defaults was asked for, and calls the root the top folder', () => {
    show({ params: { sigma_mm: 1, mode: 'nearest' }, input_dir: '.' });
    expect(host.textContent).toContain('Default parameters');
    expect(host.textContent).toContain('the top folder');
  });

  it('shows the sentence of a failed job, its log and a way to try again', () => {
    show({ state: 'failed', message: 'Slice 4 is missing.' });
    expect(host.querySelector('.dlp-Job-failure')?.textContent).toBe(
      'Slice 4 is missing.'
    );
    expect(host.querySelector('.dlp-Job-log')?.textContent).toBe(
      `Log: out/logs/${'a'.repeat(32)}.log`
    );
    expect(buttons().map(button => button.textContent)).toEqual(['Try again']);
    buttons()[0].click();
    expect(onRetry).toHaveBeenCalledWith('a'.repeat(32));
  });

  it('counts the warnings and lists them', () => {
    show({ state: 'succeeded', warnings: ['first', 'second'] });
    expect(host.querySelector('summary')?.textContent).toBe('2 warnings');
    expect(
      [...host.querySelectorAll('details li')].map(item => item.textContent)
    ).toEqual(['first', 'second']);
  });

  it('shows text from a job as text, never as HTML', () => {
    const hostile = '<img src=x onerror=alert(1)>';
    show({
      state: 'failed',
      input_dir: hostile,
      message: hostile,
      params: { [hostile]: hostile },
      warnings: [hostile]
    });
    expect(host.querySelector('img')).toBeNull();
    expect(host.textContent?.split(hostile)).toHaveLength(6);
  });
});
