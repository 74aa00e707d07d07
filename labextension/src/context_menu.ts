import { ContextMenu } from '@lumino/widgets';
import { CommandIDs } from './commands';
import { JobsModel } from './jobs_model';

/** Below Lab's own “Open” entries. */
const RANK = 3;

/** Give every task of the server an entry in the context menu of folders, also those that plug-ins add. */
export function addTasksToContextMenu(
  contextMenu: ContextMenu,
  model: JobsModel
): void {
  const addTasks = () => {
    if (model.tasks.length === 0) {
      return;
    }
    model.stateChanged.disconnect(addTasks);
    for (const { name } of model.tasks) {
      contextMenu.addItem({
        command: CommandIDs.runTask,
        args: { task: name },
        selector: '.jp-DirListing-item[data-isdir="true"]',
        rank: RANK
      });
    }
  };
  model.stateChanged.connect(addTasks);
  addTasks();
}
