/**
 * Stands in for `react-style-singleton`, by which Radix's scroll lock writes a `<style>` element.
 * Our pages' policy allows none (`style-src 'self'`); a constructed sheet is no inline style, so the
 * same rules are adopted instead. vite.config.ts puts this in its place.
 */
import { useEffect } from "react";

interface Sheet {
  add: (css: string) => void;
  remove: () => void;
}

/** A sheet that is there while at least one user is. */
export function stylesheetSingleton(): Sheet {
  let users = 0;
  let sheet: CSSStyleSheet | undefined;
  return {
    add(css) {
      users += 1;
      if (sheet) return;
      sheet = new CSSStyleSheet();
      sheet.replaceSync(css);
      document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    },
    remove() {
      users -= 1;
      if (users > 0 || !sheet) return;
      const gone = sheet;
      sheet = undefined;
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== gone);
    },
  };
}

/** The same as a hook. Rules change only where `dynamic` says so. */
export function styleHookSingleton(): (css: string, dynamic?: boolean) => void {
  const sheet = stylesheetSingleton();
  return function useStyles(css: string, dynamic?: boolean) {
    const key = dynamic ? css : "";
    useEffect(() => {
      sheet.add(css);
      return () => sheet.remove();
      // What is not dynamic is written once.
      // eslint-disable-next-line react-hooks/exhaustive-deps
    }, [key]);
  };
}

/** The same as a component that draws nothing. */
export function styleSingleton() {
  const useStyles = styleHookSingleton();
  return function Styles({ styles, dynamic }: { styles: string; dynamic?: boolean }) {
    useStyles(styles, dynamic);
    return null;
  };
}
