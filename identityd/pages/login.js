/* The login page: hears how the session stands, counts down, goes on when the phone has approved. Without this script the page still has its code and a link onwards. */
"use strict";
(function () {
	const main = document.querySelector("main[data-session]");
	if (!main)
		return;
	const base = "/auth/session/" + encodeURIComponent(main.dataset.session);
	const ends = Date.now() + Number(main.dataset.left);
	const status = document.getElementById("status");
	const left = document.getElementById("left");
	const again = document.getElementById("again");
	const words = {
		waiting: "Waiting for your phone",
		scanned: "Scanned. Confirm it on your phone",
		approved: "Approved. Logging you in",
		rejected: "The phone said no",
		expired: "This code has expired",
	};
	let over = false, source = null, polling = null;

	function show(state) {
		if (over || !words[state] || status.dataset.state === state)
			return;
		status.dataset.state = state;
		status.textContent = words[state];
		if (state === "waiting" || state === "scanned")
			return;
		over = true;
		left.hidden = true;
		if (source)
			source.close();
		clearInterval(polling);
		for (const part of main.querySelectorAll("[data-open]"))
			part.hidden = true;
		if (state === "approved")
			location.replace(base + "/continue");
		else
			again.hidden = false;
	}

	function poll() {
		fetch(base, { cache: "no-store", credentials: "same-origin" })
			.then((answer) => (answer.ok ? answer.json() : null))
			.then((session) => session && show(session.status))
			.catch(() => {});
	}

	/* A stream that the server refuses (too many of them, say) is not opened again by the browser: then it is asked now and then. */
	function listen() {
		source = new EventSource(base + "/events");
		source.onmessage = function (event) {
			const said = JSON.parse(event.data);
			if (said.status)
				show(said.status);
		};
		source.onerror = function () {
			if (source.readyState === EventSource.CLOSED && !over && !polling)
				polling = setInterval(poll, 3000);
		};
	}

	function tick() {
		const s = Math.max(0, Math.ceil((ends - Date.now()) / 1000));
		left.textContent = "Expires in " + Math.floor(s / 60) + ":" + String(s % 60).padStart(2, "0");
		if (s === 0 && !over)
			poll();
	}

	again.addEventListener("click", () => location.reload());
	listen();
	tick();
	setInterval(tick, 1000);
})();
