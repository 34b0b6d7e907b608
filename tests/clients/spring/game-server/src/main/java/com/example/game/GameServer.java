package com.example.game;

import org.apache.kafka.clients.admin.NewTopic;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.kafka.config.TopicBuilder;

/** Server A: what players do. */
@SpringBootApplication
public class GameServer {
    public static void main(String[] args) {
        SpringApplication.run(GameServer.class, args);
    }

    @Bean
    NewTopic expTopic() {
        return TopicBuilder.name("exp-topic").partitions(3).replicas(1).build();
    }
}
