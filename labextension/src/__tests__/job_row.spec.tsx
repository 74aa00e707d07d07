import { nullTranslator } from '@jupyterlab/translation';
import React, { act } from 'react';
import { createRoot, Root } from 'react-dom/client';
import { ToldJob } from '../api';
import { JobRow } from '../job_row';
import { BLUR, makeJob } from './fixtures';

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

describe('JobRow', () => {
  let host: HTMLElement;
  let root: Root;
  const actions = {
    cancel: jest.fn(),
    retry: jest.fn(),
    showLog: jest.fn(),
    compare: jest.fn(),
    showResult: jest.fn(),
    openMenu: jest.fn()
  };

  beforeEach(() => {
    jest.clearAllMocks();
    host = document.createElement('div');
    root = createRoot(host);
  });

  afterEach(() => act(() => root.unmount()));

  const show = (changes: Partial<ToldJob>) =>
    act(() =>
      root.render(
        <JobRow
          job={makeJob(changes)}
          task={BLUR}
          trans={nullTranslator.load('dlp_lab')}
          actions={actions}
        />
      )
    );
  /** All but the one that opens the menu. */
  const buttons = () => [
    ...host.querySelectorAll<HTMLButtonElement>('button.dlp-Job-action')
  ];

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
    expect(actions.cancel).toHaveBeenCalledWith('a'.repeat(32));
  });

  it('names its job in all that is heard alone, after what is seen', () => {
    const heard = () =>
      [...host.querySelectorAll('button, [role=progressbar]')].map(one =>
        one.getAttribute('aria-label')
      );
    show({ state: 'running', started_at: new Date().toISOString() });
    const name = '3-D Gaussian blur of study/series';
    expect(heard()).toEqual([
      `Progress: ${name}`,
      `Cancel: ${name}`,
      `More actions: ${name}`
    ]);
    show({ state: 'failed', input_dir: '.' });
    expect(heard()[1]).toBe('Try again: 3-D Gaussian blur of the top folder');
  });

  it('leads from a succeeded job to its result', () => {
    show({ state: 'succeeded', output_dir: 'out/1', progress: 1 });
    expect(host.querySelector('[role=progressbar]')).toBeNull();
    expect(buttons().map(button => button.textContent)).toEqual([
      'Compare',
      'Show result'
    ]);
    buttons().forEach(button => button.click());
    expect(actions.compare).toHaveBeenCalledWith('a'.repeat(32));
    expect(actions.showResult).toHaveBeenCalledWith('a'.repeat(32));
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
    expect(buttons().map(button => button.textContent)).toEqual([
      'Log',
      'Try again'
    ]);
    buttons().forEach(button => button.click());
    expect(actions.showLog).toHaveBeenCalledWith('a'.repeat(32));
    expect(actions.retry).toHaveBeenCalledWith('a'.repeat(32));
  });

  it('tells the place in the queue, and what is waited for', () => {
    const waits = () => host.querySelector('.dlp-Job-elapsed')?.textContent;
    show({ state: 'queued', position: 1, message: 'waiting' });
    expect(waits()).toBe('next to start');
    show({ state: 'queued', position: 7, message: 'waiting for room' });
    expect(waits()).toBe('number 7 in the queue · waiting for room');
  });

  it('tells how long a running job may still take', () => {
    show({
      state: 'running',
      progress: 0.25,
      elapsed_seconds: 60,
      seconds_left: 180,
      toldAt: performance.now()
    });
    expect(host.textContent).toContain('25 %, about 3 min 00 s left');
    expect(host.querySelector('.dlp-Job-elapsed')?.textContent).toBe(
      '1 min 00 s'
    );
  });

  it('opens the menu by its button, below it, and by a right click where the pointer is', () => {
    show({ state: 'succeeded' });
    const menu = host.querySelector<HTMLElement>('button.dlp-Job-menu')!;
    menu.getBoundingClientRect = () =>
      ({ left: 30, bottom: 40 }) as unknown as DOMRect;
    act(() => menu.click());
    expect(actions.openMenu).toHaveBeenLastCalledWith('a'.repeat(32), 30, 40);
    const at = { bubbles: true, cancelable: true, clientX: 5, clientY: 6 };
    act(() => {
      host
        .querySelector('.dlp-Job-title')!
        .dispatchEvent(new MouseEvent('contextmenu', at));
    });
    expect(actions.openMenu).toHaveBeenLastCalledWith('a'.repeat(32), 5, 6);
  });

  it('is not rendered again while its job is the same', () => {
    const task = { ...BLUR };
    const title = jest.fn(() => 'Blur');
    Object.defineProperty(task, 'title', { get: title });
    const job = makeJob();
    const trans = nullTranslator.load('dlp_lab');
    const row = () =>
      act(() =>
        root.render(
          <JobRow job={job} task={task} trans={trans} actions={actions} />
        )
      );
    row();
    const renderings = title.mock.calls.length;
    row();
    expect(title.mock.calls.length).toBe(renderings);
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
