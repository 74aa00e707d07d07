import { Job, SeriesSummary } from '../../generated/types';
import { JobMonitorView } from '../job_monitor_widget';
import { renderer } from '../message_view';
import { SeriesPickerView } from '../series_picker_widget';
import { SlicePreviewView } from '../slice_preview_widget';

const HOSTILE = '<img src=x onerror=alert(1)>';

const SERIES: SeriesSummary = {
  series_instance_uid: '1.2.3',
  description: HOSTILE,
  modality: 'MR',
  sop_class: 'MR Image Storage',
  files: 20,
  frames: null,
  verdict: 'usable',
  reason: '',
  shape: [20, 384, 256],
  spacing_kji_mm: [7, 0.5, 0.8],
  warnings: [HOSTILE],
  file_bytes: 2_630_000
};

const JOB: Job = {
  uid: 'a'.repeat(32),
  task: '3dblur',
  input_dir: HOSTILE,
  params: {},
  keep_hdf5: false,
  state: 'running',
  submitted_at: '',
  progress: 0.5,
  message: HOSTILE,
  error_code: null,
  output_dir: null,
  warnings: [],
  started_at: '',
  ended_at: null,
  attempts: 1,
  read: {
    series: null,
    select: {},
    gaps: 'refuse',
    irregular: 'refuse',
    tilt: 'refuse'
  },
  priority: 0,
  position: null,
  output_form: 'series',
  owner: null,
  group: null,
  elapsed_seconds: 5,
  seconds_left: 7
};

const open = new Set<string>();

beforeEach(() => {
  open.clear();
  let made = 0;
  URL.createObjectURL = () => {
    const url = `blob:${made++}`;
    open.add(url);
    return url;
  };
  URL.revokeObjectURL = url => open.delete(url);
});

const picture = () => new DataView(new ArrayBuffer(8));

it('gives back the pictures that it shows no more', () => {
  const preview = new SlicePreviewView();
  const told = {
    type: 'pictures' as const,
    names: ['a', 'b'],
    caption: HOSTILE
  };
  preview.hear(told, [picture(), picture()]);
  preview.hear(told, [picture(), picture()]);
  expect(open.size).toBe(2);
  expect(preview.node.querySelectorAll('img').length).toBe(2);
  expect(preview.node.textContent).toContain(HOSTILE);
  preview.hear({ type: 'note', text: 'no preview' }, []);
  expect(open.size).toBe(0);
  expect(preview.node.textContent).toBe('no preview');
});

it('lists series, of which only a usable one can be chosen', () => {
  const sent: unknown[] = [];
  const picker = new SeriesPickerView(content => sent.push(content));
  document.body.append(picker.node);
  const refused = { ...SERIES, verdict: 'MISSING_SLICES', reason: HOSTILE };
  picker.hear({ type: 'series', series: [refused, SERIES], note: HOSTILE }, []);
  picker.hear({ type: 'picture', index: 1 }, [picture()]);
  picker.hear({ type: 'picture', index: 1 }, [picture()]);
  picker.hear({ type: 'picture', index: 7 }, [picture()]);
  picker.hear({ type: 'no-picture', index: 0, reason: HOSTILE }, []);
  const inputs = picker.node.querySelectorAll('input');
  expect([...inputs].map(input => input.disabled)).toEqual([true, false]);
  inputs[1].click();
  expect(sent).toEqual([{ type: 'choose', index: 1 }]);
  picker.hear({ type: 'chosen', index: 1 }, []);
  expect(inputs[1].checked).toBe(true);
  expect(picker.node.querySelectorAll('img').length).toBe(1);
  picker.dispose();
  expect(open.size).toBe(0);
});

it('shows jobs with their times, and asks for what can be done with them', () => {
  jest.useFakeTimers();
  const sent: unknown[] = [];
  const monitor = new JobMonitorView(content => sent.push(content));
  monitor.hear({
    type: 'jobs',
    jobs: [JOB, { ...JOB, state: 'failed' }, { ...JOB, state: 'succeeded' }],
    older: 4
  });
  const text = monitor.node.textContent;
  expect(text).toContain('5 s, 7 s left');
  expect(text).toContain('and 4 older ones');
  expect(monitor.node.querySelectorAll('img').length).toBe(0);
  const buttons = monitor.node.querySelectorAll('button');
  expect([...buttons].map(button => button.textContent)).toEqual([
    'Cancel',
    'Try again'
  ]);
  buttons[0].click();
  expect(buttons[0].disabled).toBe(true);
  expect(sent).toEqual([{ type: 'cancel', uid: JOB.uid }]);
  monitor.dispose();
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

it('says that it is there, hears what is told, and is taken away', () => {
  const listeners = new Set<unknown>();
  const sent: unknown[] = [];
  const el = document.createElement('div');
  const remove = renderer(() => new SlicePreviewView())({
    model: {
      send: content => sent.push(content),
      on: (_, callback) => listeners.add(callback),
      off: (_, callback) => listeners.delete(callback)
    },
    el
  });
  expect(sent).toEqual([{ type: 'ready' }]);
  expect([el.childElementCount, listeners.size]).toEqual([1, 1]);
  remove();
  expect([el.childElementCount, listeners.size]).toEqual([0, 0]);
});
