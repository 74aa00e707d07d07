import './panel.css';
import './run_dialog.css';
import './viewer.css';
import './documents.css';
