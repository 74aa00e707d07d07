import { ILabShell, JupyterFrontEnd } from '@jupyterlab/application';
import {
  Clipboard,
  Dialog,
  MainAreaWidget,
  showDialog
} from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { TranslationBundle } from '@jupyterlab/translation';
import { MenuSvg } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';
import { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { CommandIDs } from './commands';
import { copyOf, Door } from './copy_as';
import { OPEN_VIEWER } from './documents/open_command';
import { Job } from './generated/types';
import { JobLog } from './job_log';
import { JobActions } from './job_row';
import { JobsModel } from './jobs_model';
import { PassingMenu } from './passing_menu';
import { toBrowserPath } from './root_paths';
import { tellError } from './tell_error';

/** The commands about one job; each takes its `uid`. */
export namespace JobCommandIDs {
  export const cancel = 'dlp-lab:cancel-job';
  export const retry = 'dlp-lab:retry-job';
  export const runAgain = 'dlp-lab:run-job-again';
  export const showResult = 'dlp-lab:show-job-result';
  /** Show how a result came about: request, software, source, ingestion. */
  export const showRecord = 'dlp-lab:show-job-record';
  /** Show the slices of source and result, side by side. */
  export const compare = 'dlp-lab:compare-job';
  export const showLog = 'dlp-lab:show-job-log';
  /** Takes `door` too: "python", "curl" or "cli". */
  export const copyAs = 'dlp-lab:copy-job-as';
  export const remove = 'dlp-lab:remove-job';
}

const DOORS: readonly Door[] = ['python', 'cli', 'curl'];

/** Add the commands about one job, and give what the panel's buttons do. */
export function addJobCommands(
  app: JupyterFrontEnd,
  model: JobsModel,
  trans: TranslationBundle
): JobActions {
  const { commands, shell } = app;
  const { baseUrl } = app.serviceManager.serverSettings;
  const jobOf = (args: ReadonlyPartialJSONObject) =>
    model.job(args.uid as string | undefined);

  /** A command on the job of `uid`, there while `can` says so. */
  const add = (
    id: string,
    label: string | ((args: ReadonlyPartialJSONObject) => string),
    can: (job: Job) => boolean,
    execute: (job: Job, args: ReadonlyPartialJSONObject) => Promise<void> | void
  ) =>
    commands.addCommand(id, {
      label,
      describedBy: {
        args: {
          type: 'object',
          properties: { uid: { type: 'string' }, door: { type: 'string' } },
          required: ['uid']
        }
      },
      isVisible: args => {
        const job = jobOf(args);
        return job !== undefined && can(job);
      },
      execute: async args => {
        const job = jobOf(args);
        if (job === undefined) {
          return;
        }
        try {
          await execute(job, args);
        } catch (error) {
          tellError(error);
        }
      }
    });

  add(JobCommandIDs.cancel, trans.__('Cancel'), isOpen, ({ uid }) =>
    model.cancel(uid)
  );
  add(
    JobCommandIDs.retry,
    trans.__('Try again'),
    ({ state }) => state === 'failed' || state === 'cancelled',
    ({ uid }) => model.retry(uid)
  );
  add(
    JobCommandIDs.runAgain,
    trans.__('Run again, changed…'),
    ({ task }) => model.task(task) !== undefined,
    async job => {
      await commands.execute(CommandIDs.runTask, {
        task: job.task,
        path: toBrowserPath(job.input_dir, model.health?.root_offset ?? ''),
        values: {
          params: job.params,
          keep_hdf5: job.keep_hdf5,
          output_form: job.output_form,
          read: job.read
        } as unknown as ReadonlyPartialJSONObject
      });
    }
  );
  add(
    JobCommandIDs.showResult,
    trans.__('Show result in the file browser'),
    ({ output_dir }) => output_dir !== null,
    async ({ output_dir }) => {
      await commands.execute('filebrowser:go-to-path', {
        path: shownPath(output_dir, model, trans)
      });
    }
  );
  add(
    JobCommandIDs.showRecord,
    trans.__('Show how it came about'),
    ({ output_dir }) => output_dir !== null,
    async ({ output_dir }) => {
      await commands.execute('docmanager:open', {
        path: `${shownPath(output_dir, model, trans)}/job.json`,
        factory: 'JSON'
      });
    }
  );
  add(
    JobCommandIDs.compare,
    trans.__('Compare result with source'),
    ({ output_dir }) => output_dir !== null,
    async ({ uid, input_dir, task: name }) => {
      const task = model.task(name);
      const result =
        task?.makes === 'labels'
          ? {
              labels: { job: uid, which: 'labels' },
              labelNames: await model.labelNames(uid)
            }
          : { after: { job: uid, which: 'result' } };
      await commands.execute(OPEN_VIEWER, {
        before: { job: uid, which: 'source' },
        names: [trans.__('Source'), task?.title ?? name],
        title: `${PathExt.basename(input_dir)}, ${task?.title ?? name}`,
        ...result
      });
    }
  );
  add(
    JobCommandIDs.showLog,
    trans.__('Show log'),
    ({ attempts }) => attempts > 0,
    job => showLog(job)
  );
  add(
    JobCommandIDs.copyAs,
    args => doorLabel(args.door as Door, trans),
    () => true,
    (job, args) => {
      Clipboard.copyToSystem(copyOf(job, args.door as Door, baseUrl));
    }
  );
  add(
    JobCommandIDs.remove,
    trans.__('Remove…'),
    job => !isOpen(job),
    job => askAndRemove(job, model, trans)
  );

  const showLog = (job: Job) => {
    const title = trans.__(
      'Log of %1',
      model.task(job.task)?.title ?? job.task
    );
    const content = new JobLog(model, job, title, trans);
    const open = findInMainArea(shell, `${content.id}-tab`);
    if (open !== undefined) {
      content.dispose();
      shell.activateById(open);
      return;
    }
    const widget = new MainAreaWidget({ content });
    widget.id = `${content.id}-tab`;
    shell.add(widget, 'main');
  };

  const run = (id: string) => (uid: string) =>
    void commands.execute(id, { uid });
  return {
    cancel: run(JobCommandIDs.cancel),
    retry: run(JobCommandIDs.retry),
    showLog: run(JobCommandIDs.showLog),
    compare: run(JobCommandIDs.compare),
    showResult: run(JobCommandIDs.showResult),
    openMenu: (uid, x, y) => jobMenu(commands, uid, trans).open(x, y)
  };
}

/** A folder of a result as the file browser names it; throws where it does not show it. */
function shownPath(
  outputDir: string | null,
  model: JobsModel,
  trans: TranslationBundle
): string {
  const offset = model.health?.root_offset ?? null;
  if (outputDir === null || offset === null) {
    throw new Error(
      trans.__('The file browser does not show “%1”.', outputDir ?? '')
    );
  }
  return toBrowserPath(outputDir, offset);
}

function isOpen({ state }: Job): boolean {
  return state === 'queued' || state === 'running';
}

function doorLabel(door: Door, trans: TranslationBundle): string {
  switch (door) {
    case 'python':
      return trans.__('Python');
    case 'curl':
      return trans.__('curl command');
    case 'cli':
      return trans.__('Shell command');
  }
}

function findInMainArea(
  shell: JupyterFrontEnd.IShell,
  id: string
): string | undefined {
  return [...(shell as ILabShell).widgets('main')].find(
    widget => widget.id === id
  )?.id;
}

/** What can be done with a job; commands that do not fit its state are not shown. */
function jobMenu(
  commands: CommandRegistry,
  uid: string,
  trans: TranslationBundle
): PassingMenu {
  const menu = new PassingMenu(commands);
  const add = (command: string) => menu.addItem({ command, args: { uid } });
  const copyAs = new MenuSvg({ commands }); // disposed with the menu
  copyAs.title.label = trans.__('Copy as');
  for (const door of DOORS) {
    copyAs.addItem({ command: JobCommandIDs.copyAs, args: { uid, door } });
  }
  add(JobCommandIDs.compare);
  add(JobCommandIDs.showResult);
  add(JobCommandIDs.showRecord);
  add(JobCommandIDs.showLog);
  add(JobCommandIDs.cancel);
  add(JobCommandIDs.retry);
  add(JobCommandIDs.runAgain);
  menu.addItem({ type: 'submenu', submenu: copyAs });
  menu.addItem({ type: 'separator' });
  add(JobCommandIDs.remove);
  return menu;
}

async function askAndRemove(
  job: Job,
  model: JobsModel,
  trans: TranslationBundle
): Promise<void> {
  const hasResult = job.output_dir !== null;
  const { button, isChecked } = await showDialog({
    title: trans.__('Remove this job?'),
    body: trans.__(
      'The job on “%1” and its log are forgotten. The input stays as it is.',
      job.input_dir
    ),
    checkbox: hasResult
      ? { label: trans.__('Also delete its result'), checked: false }
      : null,
    buttons: [
      Dialog.cancelButton(),
      Dialog.warnButton({ label: trans.__('Remove') })
    ]
  });
  if (button.accept) {
    await model.remove(job.uid, isChecked ?? false);
  }
}
