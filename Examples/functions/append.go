// Appends orders to Onewrite's log through its Redis functions: go run append.go PREFIX COUNT. Needs redigo 1.8.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

func dial() (redis.Conn, error) {
	timeouts := []redis.DialOption{redis.DialReadTimeout(5 * time.Second), redis.DialConnectTimeout(5 * time.Second)}
	if path := strings.TrimPrefix(os.Getenv("REDIS_URL"), "unix://"); path != os.Getenv("REDIS_URL") {
		return redis.Dial("unix", strings.Split(path, "?")[0], timeouts...)
	}
	return redis.DialURL(os.Getenv("REDIS_URL"), timeouts...)
}

var pool = &redis.Pool{Dial: dial, MaxIdle: 1}

// try appends once; an error says nothing about whether it is in the log.
func try(namespace, shop string, fields []string) ([]string, error) {
	client := pool.Get()
	defer client.Close()
	place, err := redis.Strings(client.Do("FCALL_RO", "onewrite_partition", 1, namespace+":meta", shop))
	if err != nil || len(place) != 7 {
		return place, err
	}
	args := redis.Args{"onewrite_append", 4}.AddFlat(place[3:]).Add(place[1], place[2], "").AddFlat(fields)
	return redis.Strings(client.Do("FCALL", args...))
}

// Append appends a change once; it returns the outcome and more, as README.md has it.
func Append(namespace, shop string, fields ...string) ([]string, error) {
	deadline := time.Now().Add(30 * time.Second)
	for {
		place, err := try(namespace, shop, fields)
		_, isAnswer := err.(redis.Error)
		isOver := err == nil && place[0] != "closed" && place[0] != "nolog"
		if isOver || isAnswer || time.Now().After(deadline) {
			return place, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func main() {
	count, _ := strconv.Atoi(os.Args[2])
	for number := 0; number < count; number++ {
		shop := fmt.Sprintf("shop-%d", number%5)
		place, err := Append("onewrite", shop, "type", "order.placed", "id", fmt.Sprintf("%s-%d", os.Args[1], number),
			"shop", shop, "customer", "Zoë", "lines", fmt.Sprintf("TEA:%d MUG:1", number%9+1))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(strings.Join(place, " "))
	}
}
