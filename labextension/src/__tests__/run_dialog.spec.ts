import { nullTranslator } from '@jupyterlab/translation';
import { Refused } from '../api';
import { JobRequest, TaskInfo } from '../generated/types';
import { RunDialog } from '../run_dialog';
import { BLUR } from './fixtures';

/** Wait, at most five seconds, for what is rendered later. */
async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500 && !isTrue(); tries++) {
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}

/** The reference task, with a parameter that names other series. */
const TASK: TaskInfo = {
  ...BLUR,
  params_schema: {
    ...BLUR.params_schema,
    properties: {
      ...(BLUR.params_schema.properties as object),
      channels: {
        title: 'Other channels',
        type: 'object',
        propertyNames: { title: 'Channel' },
        additionalProperties: {
          type: 'string',
          title: 'Series or folder',
          format: 'dicom-series'
        },
        default: {}
      }
    }
  }
};

describe('RunDialog', () => {
  const choices = jest.fn().mockResolvedValue([
    { value: '1.2.3', label: 'MR · flair' },
    { value: 'study/t1', label: 't1' }
  ]);
  const submit = jest.fn<Promise<void>, [JobRequest]>();
  let dialog: RunDialog;
  let closed: Promise<unknown>;

  beforeEach(async () => {
    submit.mockReset().mockResolvedValue();
    const trans = nullTranslator.load('dlp_lab');
    const values = { params: { truncate: 3 } };
    dialog = new RunDialog(
      { task: TASK, path: 'study', values, choices, trans },
      submit
    );
    closed = dialog.launch();
    await dialog.ready;
    await until(() => input('sigma_mm') !== null);
  });

  afterEach(async () => {
    dialog.reject(); // the next one waits until this one is closed
    await closed;
  });

  const input = (name: string) =>
    dialog.node.querySelector<HTMLInputElement>(`[name=${name}]`)!;
  const enter = (name: string, text: string) => type(input(name), text);
  const type = (element: HTMLInputElement, text: string) => {
    const set = Object.getOwnPropertyDescriptor(
      HTMLInputElement.prototype,
      'value'
    )!.set!;
    set.call(element, text);
    element.dispatchEvent(new Event('input', { bubbles: true }));
  };
  const sentence = () => dialog.node.querySelector('[role=alert]')?.textContent;

  it('starts from the defaults and what the command was given', async () => {
    expect(input('sigma_mm').value).toBe('1');
    expect(input('truncate').value).toBe('3');
    await until(() => document.activeElement === input('sigma_mm'));
    expect(document.activeElement).toBe(input('sigma_mm'));
  });

  it('submits on Enter and closes', async () => {
    enter('sigma_mm', '2, 1, 1');
    input('sigma_mm').dispatchEvent(
      new KeyboardEvent('keydown', { key: 'Enter', bubbles: true })
    );
    await expect(closed).resolves.toMatchObject({ button: { accept: true } });
    expect(submit.mock.calls).toEqual([
      [
        {
          task: '3dblur',
          input_dir: 'study',
          params: {
            sigma_mm: [2, 1, 1],
            truncate: 3,
            mode: 'nearest',
            channels: {}
          },
          keep_hdf5: false,
          output_form: 'series'
        }
      ]
    ]);
  });

  it('asks for the form of the result that is chosen', async () => {
    const select = dialog.node.querySelector<HTMLSelectElement>(
      'select[name=output_form]'
    )!;
    expect([...select.options].map(option => option.value)).toEqual([
      'series',
      'multiframe',
      'parametric_map'
    ]);
    select.value = 'parametric_map';
    select.dispatchEvent(new Event('change', { bubbles: true }));
    dialog.resolve();
    await closed;
    expect(submit.mock.calls[0][0].output_form).toBe('parametric_map');
  });

  it('leaves out what is left empty, for the server to fill in', async () => {
    enter('sigma_mm', '');
    dialog.resolve();
    await closed;
    expect(submit.mock.calls[0][0].params).toEqual({
      truncate: 3,
      mode: 'nearest',
      channels: {}
    });
  });

  it('asks for texts by their names in rows, and offers the series that are there', async () => {
    const group = () => dialog.node.querySelector('[role=group]')!;
    const field = (label: string) =>
      group().querySelector<HTMLInputElement>(`[aria-label="${label}"]`)!;
    const button = (text: string) =>
      [...group().querySelectorAll('button')].find(
        one =>
          (one.ariaLabel ??
            one.getAttribute('aria-label') ??
            one.textContent) === text
      )!;
    expect(choices).not.toHaveBeenCalled();
    button('Add').click();
    await until(() => field('Channel 1') !== null);
    button('Add').click();
    await until(() => field('Channel 2') !== null);
    await until(() => group().querySelectorAll('option').length === 2);
    expect(choices).toHaveBeenCalledTimes(1);
    expect(field('Series or folder 2').getAttribute('list')).toBe(
      group().querySelector('datalist')!.id
    );
    type(field('Channel 1'), 'gone');
    type(field('Channel 2'), 'FLAIR');
    type(field('Series or folder 2'), '1.2.3');
    button('Remove row 1').click();
    await until(() => field('Channel 2') === null);
    expect(field('Channel 1').value).toBe('FLAIR');
    await until(() => document.activeElement === button('Add'));
    dialog.resolve();
    await closed;
    expect(submit.mock.calls[0][0].params).toMatchObject({
      channels: { FLAIR: '1.2.3' }
    });
  });

  it('leaves Enter to the buttons of the form', async () => {
    const defaults = dialog.node.querySelector<HTMLButtonElement>(
      '.dlp-RunForm-defaults'
    )!;
    defaults.focus();
    const enter = new KeyboardEvent('keydown', {
      key: 'Enter',
      bubbles: true,
      cancelable: true
    });
    defaults.dispatchEvent(enter);
    expect(enter.defaultPrevented).toBe(false);
    expect(submit).not.toHaveBeenCalled();
  });

  it('goes back to the defaults when asked', async () => {
    enter('sigma_mm', '9');
    dialog.node
      .querySelector<HTMLButtonElement>('.dlp-RunForm-defaults')!
      .click();
    await until(() => input('sigma_mm').value === '1');
    expect(input('truncate').value).toBe('4');
    dialog.resolve();
    await closed;
    expect(submit.mock.calls[0][0].params).toMatchObject({ truncate: 4 });
  });

  it('says that the folder is being checked, and cannot be run again meanwhile', async () => {
    let refuse: (error: Error) => void = () => undefined;
    submit.mockReturnValueOnce(
      new Promise((_, reject) => {
        refuse = reject;
      })
    );
    const status = () =>
      dialog.node.querySelector('[role=status]')?.textContent;
    const run = dialog.node.querySelector<HTMLButtonElement>(
      'button.jp-mod-accept'
    )!;
    run.focus();
    run.click();
    await until(() => Boolean(status()));
    expect(status()).toBe('Checking the folder…');
    expect(run.getAttribute('aria-disabled')).toBe('true');
    run.click();
    expect(submit).toHaveBeenCalledTimes(1);
    expect(document.activeElement).toBe(run);
    refuse(new Error('no'));
    await until(() => !status());
    expect(status()).toBeUndefined();
    expect(run.getAttribute('aria-disabled')).toBe('false');
  });

  it('stays open with the server’s sentence, keeps the entries, and can be tried again', async () => {
    submit.mockRejectedValueOnce(
      new Refused('NO_DICOM', 'The folder holds no DICOM image.')
    );
    enter('sigma_mm', '7');
    dialog.resolve();
    await until(() => Boolean(sentence()));
    expect(dialog.isDisposed).toBe(false);
    expect(sentence()).toBe('The folder holds no DICOM image.');
    expect(input('sigma_mm').value).toBe('7');
    dialog.resolve();
    await expect(closed).resolves.toMatchObject({ button: { accept: true } });
  });

  it('asks the server nothing while an entry cannot be read', async () => {
    enter('sigma_mm', 'wide');
    dialog.resolve();
    await until(() => Boolean(sentence()));
    expect(sentence()).toContain('“wide” is not a number');
    expect(submit).not.toHaveBeenCalled();
  });

  it('submits once, however often Run is pressed', async () => {
    dialog.resolve();
    dialog.resolve();
    await closed;
    expect(submit).toHaveBeenCalledTimes(1);
  });

  it('submits nothing on Cancel', async () => {
    dialog.reject();
    await expect(closed).resolves.toMatchObject({ button: { accept: false } });
    expect(submit).not.toHaveBeenCalled();
  });
});
