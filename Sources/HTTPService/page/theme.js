// Before the first paint: the theme that was chosen here, else the system's.
try {
  const theme = localStorage.getItem('onewrite-theme');
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; the system's theme is right then.
}
